"""The frame of the back office's views: tables, forms, lists, filters, words, and who may open what."""
