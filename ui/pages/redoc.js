"use strict";
// Redoc over the document that the page names. Its search would begin a worker from a blob, which our policy forbids.
const page = document.getElementById("page");
const fonts = "system-ui, sans-serif";
Redoc.init(
  page.dataset.document,
  {
    disableSearch: true,
    theme: { typography: { fontFamily: fonts, headings: { fontFamily: fonts } } },
  },
  page,
);
