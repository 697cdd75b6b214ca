"""From a finished document to what a person sees: terminal tables, Markdown, plots, a page of HTML.

``facts`` turns a document into titled tables of text, once; ``table``, ``markdown`` and ``html`` only
lay them out, so that every report says the same. ``plots`` draws what is better seen than read.
"""
