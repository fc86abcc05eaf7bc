"""Your data: is a deep net worth it on a table of your own molecules?"""
