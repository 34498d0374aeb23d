"""The command line: the one room that prints, draws and writes reports."""
