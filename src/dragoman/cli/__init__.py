"""The command line: `dragoman COMMAND … -s TARGET`, one module for each command, loaded when it is used."""
