"""Run the chapters, hold their numbers to what was calibrated, and assemble the book.

``run`` executes chapters through papermill; ``regression`` compares their numbers with the stored
distributions that ``calibration`` measured; ``pages`` writes what is made from records; ``site``
assembles and builds the book, and ``check`` looks at what was built.
"""
