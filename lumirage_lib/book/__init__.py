"""The book: what its notebooks say, papermill, which pages are out of date, and Jupyter Book."""
