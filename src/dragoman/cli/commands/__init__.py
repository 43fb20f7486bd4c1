"""One module for each command; each has a click command named `command`. Listed in `dragoman.cli.table.COMMANDS`."""
