"""Run the chapters, compare their numbers with the calibrated ones, and assemble the book.

``run`` executes chapters through papermill; ``regression`` compares their numbers with the stored
distributions that ``calibration`` measured; ``pages`` writes the pages that are made from records;
``site`` assembles and builds the book, and ``check`` looks at what was built.
"""
