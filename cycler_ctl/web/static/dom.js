// Elements from code. Text is only ever set as text: nothing that comes from a file or a person becomes markup.

const SVG = "http://www.w3.org/2000/svg";

export function make(tag, attributes = {}, ...children) {
  return dress(document.createElement(tag), attributes, children);
}

export function draw(tag, attributes = {}, ...children) {
  return dress(document.createElementNS(SVG, tag), attributes, children);
}

function dress(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** Touch the page only where something changed: a screen reader and a selection stay undisturbed. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function icon(shape, box) {
  return draw("svg", { viewBox: `0 0 ${box} ${box}`, "aria-hidden": "true" }, draw("path", { d: shape, "fill-rule": "evenodd" }));
}

/** What the two colours mean; the words name the electrode's reaction, whatever the protocol calls charge. */
export function legend() {
  const line = () => draw("svg", { viewBox: "0 0 22 8", "aria-hidden": "true" }, draw("path", { d: "M1 4H21" }));
  return make("ul", { class: "legend", "aria-label": "Colours of the curves" },
    make("li", { class: "lithiation" }, line(), "Lithiation"), make("li", { class: "delithiation" }, line(), "Delithiation"));
}
