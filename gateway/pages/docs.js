// Shows openapi.json as a page. Texts go in as text nodes only: nothing of the document is ever run.
"use strict";

function element(name, text, attributes) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = text;
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  return made;
}

function resolved(api, value, depth) {
  if (depth > 8 || value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((item) => resolved(api, item, depth + 1));
  if (typeof value.$ref === "string" && value.$ref.startsWith("#/")) {
    const found = value.$ref.slice(2).split("/").reduce((at, step) => (at ? at[step] : undefined), api);
    return resolved(api, found, depth + 1);
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolved(api, item, depth + 1)]));
}

function shown(api, content) {
  const box = element("div");
  for (const [kind, body] of Object.entries(content || {})) {
    box.append(element("p", kind));
    if (body.example !== undefined) box.append(element("pre", JSON.stringify(body.example, null, 2)));
    for (const example of Object.values(resolved(api, body.examples || {}, 0))) {
      box.append(element("pre", JSON.stringify(example.value, null, 2)));
    }
    if (body.schema) {
      const schema = element("details");
      schema.append(element("summary", "Schema"), element("pre", JSON.stringify(resolved(api, body.schema, 0), null, 2)));
      box.append(schema);
    }
  }
  return box;
}

function operationBox(api, path, method, operation) {
  const box = element("details", null, { id: operation.operationId || "" });
  const line = element("summary");
  line.append(element("span", method.toUpperCase(), { class: "method" }), element("code", path), " ", operation.summary || "");
  box.append(line);
  if (operation.description) box.append(element("p", operation.description));
  const needs = (operation.security || []).map((one) => Object.keys(one).join(" + ")).join(" or ");
  box.append(element("p", needs ? "Needs: " + needs : "Open to everybody."));
  const parameters = resolved(api, operation.parameters || [], 0);
  if (parameters.length) {
    const table = element("table");
    for (const one of parameters) {
      const row = element("tr");
      row.append(element("th", one.name), element("td", one.in + (one.required ? ", required" : "")), element("td", one.description || ""));
      table.append(row);
    }
    box.append(table);
  }
  if (operation.requestBody) box.append(element("h4", "Request"), shown(api, operation.requestBody.content));
  for (const [status, answer] of Object.entries(operation.responses)) {
    const part = element("details");
    part.append(element("summary", status + " – " + (answer.description || "")), shown(api, answer.content));
    box.append(part);
  }
  return box;
}

function draw(api) {
  document.getElementById("title").textContent = api.info.title + " API " + api.info.version;
  document.getElementById("about").textContent = api.info.description || "";
  const main = document.getElementById("operations");
  const sections = new Map();
  for (const [path, operations] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const tag = (operation.tags || ["Other"])[0];
      if (!sections.has(tag)) sections.set(tag, []);
      sections.get(tag).push(operationBox(api, path, method, operation));
    }
  }
  for (const [tag, boxes] of sections) {
    document.getElementById("tags").append(element("a", tag, { href: "#tag-" + tag }));
    const section = element("section");
    section.append(element("h2", tag, { id: "tag-" + tag }), ...boxes);
    main.append(section);
  }
  document.getElementById("filter").addEventListener("input", (event) => {
    const wanted = event.target.value.toLowerCase();
    for (const box of main.querySelectorAll("section > details")) {
      box.hidden = !box.firstChild.textContent.toLowerCase().includes(wanted);
    }
  });
}

fetch("/api/v1/openapi.json")
  .then((answer) => answer.json())
  .then(draw)
  .catch(() => { document.getElementById("about").textContent = "openapi.json could not be read."; });
