"""The kinds of inventory source that come with kubexm, registered as strangers' are.

In: a word after `--inventory`. Out: `Document`s, which the loader makes an inventory of.
"""
