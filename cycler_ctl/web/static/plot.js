// Plotly, fetched when the first large view is opened, and made to live with our content security policy.

let loading = null;

export function plotly() {
  loading ??= load().catch((error) => { loading = null; throw error; });
  return loading;
}

async function load() {
  styleThroughTheObjectModel();
  const restore = refuseStyleElements();
  try {
    await script("/static/plotly.min.js");
  } finally {
    restore();
  }
}

function script(src) {
  return new Promise((resolve, reject) => {
    const element = document.createElement("script");
    Object.assign(element, { src, onload: resolve, onerror: () => reject(new Error("plotly could not be fetched")) });
    document.head.append(element);
  });
}

/** Plotly writes style attributes, which the policy forbids; the same text through the object model is allowed. */
function styleThroughTheObjectModel() {
  const plain = Element.prototype.setAttribute;
  if (plain.ours) return;
  function setAttribute(name, value) {
    if (name === "style" && this.style) this.style.cssText = value;
    else plain.call(this, name, value);
  }
  setAttribute.ours = true;
  Element.prototype.setAttribute = setAttribute;
}

/** While it loads, plotly adds the styles of its maps, which we do not draw and the policy would refuse with an error. */
function refuseStyleElements() {
  const head = document.head;
  head.appendChild = (element) => (element instanceof HTMLStyleElement ? element : Node.prototype.appendChild.call(head, element));
  return () => { delete head.appendChild; };
}
