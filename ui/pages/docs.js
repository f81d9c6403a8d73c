"use strict";
// Swagger UI over the document that the page names. Nothing is asked of any other host.
const page = document.getElementById("page");
SwaggerUIBundle({
  url: page.dataset.document,
  dom_id: "#page",
  deepLinking: true,
  docExpansion: "list",
  filter: true,
  persistAuthorization: false,
  validatorUrl: null,
});
