"""What configuration files say: texts as trees, in any host's words, made into settings.

Pure: `dragoman.config.loading` alone opens files. `document` makes a tree of a text, `dialects` settings of the tree.
"""
