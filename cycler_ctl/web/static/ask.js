// A question before an act: what it will do and, once, who acts. The name stays in the page's memory only.

import { make, say } from "./dom.js";

let who = null; // null: nobody was asked yet

/** For the record; the station adds from where. */
export function actor() { return who || "page"; }

export function setActor(name) { who = name.trim(); }

/** A field for the name where nobody has said it, else whom the record will name. `read` keeps what was typed. */
export function nameField() {
  const input = make("input", { name: "by", maxlength: 64, autocomplete: "name", value: who ?? "" });
  const field = make("label", { class: "who-acts", hidden: who !== null }, "Your name, for the record", input);
  const words = make("p", { class: "who-is", hidden: who === null },
    make("span", {}, who ? `The record will say: ${who}.` : "The record will say: page, no name."),
    make("button", { type: "button", class: "plain", onclick: () => { field.hidden = false; words.hidden = true; input.focus(); } }, "Change"));
  return { element: make("div", {}, field, words), read: () => setActor(input.value) };
}

let before = Promise.resolve(); // one question at a time: none is put in the place of another that is open

/** True when the person is sure. Escape means no. `tone` calm: the colour of an alarm is kept for what ends a run. `field`: one more to fill in. */
export function ask(dialog, question) {
  const answered = before.then(() => put(dialog, question));
  before = answered.catch(() => {});
  return answered;
}

function put(dialog, { title, text, yes, no, tone = "sure", field = null }) {
  return new Promise((resolve) => {
    const name = no ? nameField() : null;
    const answer = (sure) => () => {
      dialog.oncancel = null;
      if (sure) name?.read();
      dialog.close();
      resolve(sure);
    };
    dialog.oncancel = answer(false);
    dialog.replaceChildren(make("form", { method: "dialog", onsubmit: (event) => { event.preventDefault(); answer(true)(); } },
      make("h2", { id: "confirm-title" }, title), ...paragraphs(text), field, name?.element,
      make("div", { class: "acts" },
        no ? make("button", { class: "act", type: "button", autofocus: true, onclick: answer(false) }, no) : null,
        make("button", { class: no ? `act ${tone}` : "act", type: "submit" }, yes))));
    dialog.showModal();
  });
}

function paragraphs(text) {
  return text.split("\n").filter(Boolean).map((line) => {
    const paragraph = make("p");
    say(paragraph, line);
    return paragraph;
  });
}
