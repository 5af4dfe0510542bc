"""One module per notebook: tables in, the numbers, sentences and figure data of the page out."""
