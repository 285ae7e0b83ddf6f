"""PyELT's public API, written anew: a thin front whose objects become the same config documents as YAML files.

Names, argument orders, defaults and attributes are PyELT's, so that a project that was written for it runs unchanged. Its
modules carry names of our own; `binding` shows them as ``pyelt...`` while a project is loaded.
"""
