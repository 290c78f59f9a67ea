"""What all views of the back office share: tables, forms, lists, filters, words, and who may open what."""
