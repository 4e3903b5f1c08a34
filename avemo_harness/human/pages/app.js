// The rater's page: shows the screen that the server says, and sends what the rater does.

import { element, makePlayer } from "/player.js";

const main = document.getElementById("main");
const status = document.getElementById("status");
const progress = document.getElementById("progress");
const WAITS_MS = [500, 1000, 2000, 4000, 8000, 8000, 8000, 8000];

class Refusal extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

// Every request may be sent twice without harm, so a lost connection is tried again.
async function ask(path, body) {
  const options = body === undefined
    ? {}
    : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  for (let attempt = 0; ; attempt += 1) {
    try {
      const response = await fetch(path, options);
      const content = await response.json();
      if (response.ok) {
        // Takes back its own words alone: the player may have said something meanwhile.
        if (attempt > 0) say("");
        return content;
      }
      if (response.status < 500 && response.status !== 429) throw new Refusal(response.status, content.message);
      say(content.message);
    } catch (error) {
      if (error instanceof Refusal) throw error;
      say("The connection is lost; trying again …");
    }
    if (attempt >= WAITS_MS.length) {
      say("There is no connection. Reload the page later; you will go on where you are.");
      throw new Refusal(0, "There is no connection.");
    }
    await new Promise((resolve) => setTimeout(resolve, WAITS_MS[attempt]));
  }
}

function say(text) {
  status.textContent = text;
}

let sending = false;
let stopPlaying = () => {};

// Sends a step and shows what follows; a refusal is told. While one is under way, another click does nothing.
async function step(path, body, shown = show) {
  if (sending) return false;
  sending = true;
  try {
    const next = await ask(path, body);
    say("");
    shown(next);
    return true;
  } catch (error) {
    await refused(error);
    return false;
  } finally {
    sending = false;
  }
}

// Tells a refusal; where the page was not what the server has come to, shows that.
async function refused(error) {
  if (!(error instanceof Refusal)) throw error;
  if (error.code === 409) {
    try {
      show(await ask("/api/screen"));
    } catch (again) {
      if (!(again instanceof Refusal)) throw again;
    }
  }
  say(error.message);
}

function page(title, ...content) {
  const heading = element("h1", { tabIndex: -1 }, title);
  main.replaceChildren(element("div", { class: "text" }, heading, ...content));
  heading.focus();
  window.scrollTo(0, 0);
}

function actions(...buttons) {
  return element("div", { class: "actions" }, ...buttons);
}

function primary(text, act) {
  const button = element("button", { type: "button" }, text);
  button.addEventListener("click", act);
  return button;
}

function showConsent(screen) {
  document.title = screen.title;
  const agree = element("input", { type: "checkbox", id: "agree" });
  const go = primary("Begin", () => step("/api/consent", { agree: true }));
  go.disabled = true;
  agree.addEventListener("change", () => {
    go.disabled = !agree.checked;
  });
  page(
    screen.title,
    ...screen.paragraphs.map((text) => element("p", {}, text)),
    element("p", {}, `It takes about ${screen.minutes} minutes. Use headphones, or a quiet room.`),
    element("label", { class: "line" }, agree, "I have read this and agree to take part."),
    actions(go),
  );
}

function showDevice(screen) {
  const digit = element("input", { type: "number", min: 0, max: 9, required: true, id: "digit" });
  const beeps = element("input", { type: "number", min: 0, max: 20, required: true, id: "beeps" });
  const form = element(
    "form",
    {},
    element("label", { class: "line" }, "Which digit did you see?", digit),
    element("label", { class: "line" }, "How many beeps did you hear?", beeps),
    actions(element("button", { type: "submit" }, "Check")),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    player.stop();
    step("/api/device", { media: screen.media, digit: Number(digit.value), beeps: Number(beeps.value) });
  });
  const player = makePlayer([{ speaker: "clip", media: screen.media }], {
    begin: () => say(""),
    end: () => digit.focus(),
    fail: say,
  });
  stopPlaying = player.stop;
  const left = screen.attempts_left === 1 ? "This is the last try." : `You have ${screen.attempts_left} tries.`;
  page(
    "Do picture and sound work?",
    element("p", {}, `Play the clip. It shows a digit and beeps a few times. ${left}`),
    player.root,
    form,
  );
}

function anchors(scale) {
  return element("dl", {}, ...scale.anchors.flatMap((text, index) => [
    element("dt", {}, String(index + 1)),
    element("dd", {}, text),
  ]));
}

function showInstructions(screen) {
  const parts = screen.blocks > 1 ? `${screen.items} replies in ${screen.blocks} parts` : `${screen.items} replies`;
  const training = screen.training > 0
    ? `You start with ${screen.training} replies for practice and are told how they are meant to be rated. After that come ${parts}.`
    : `There are ${parts}.`;
  page(
    "How to rate",
    element("p", {}, "Each time you see and hear a person, and then a spoken reply. Longer conversations go back and forth. Listen to the end, then rate the replies on three scales. Judge each scale for itself."),
    ...screen.scales.flatMap((scale) => [
      element("h2", {}, scale.title),
      element("p", {}, scale.question),
      anchors(scale),
    ]),
    element("h2", {}, "Beeps"),
    element("p", { class: "note" }, "Some replies end in beeps. Count them, and give that many points on all three scales: three beeps, three times 3. This shows that you listen to the end."),
    element("h2", { class: "keys" }, "Keys"),
    element("p", { class: "keys" }, element("kbd", {}, "P"), " plays and pauses, ", element("kbd", {}, "1"), " to ", element("kbd", {}, "5"), " rate one scale after the other, ", element("kbd", {}, "Enter"), " sends."),
    element("p", {}, training),
    actions(primary("I am ready", () => step("/api/ready", {}))),
  );
}

function showPause(screen) {
  page(
    "Time for a pause",
    element("p", {}, `Part ${screen.block - 1} of ${screen.blocks} is done. Rest your ears, and go on when you like.`),
    actions(primary("Go on", () => showItem(screen))),
  );
}

function scaleFields(scale) {
  const points = scale.anchors.map((text, index) => element(
    "label",
    { class: "point" },
    element("b", {}, String(index + 1)),
    element("span", {}, text),
    element("input", { type: "radio", name: scale.name, value: String(index + 1), required: true }),
  ));
  return element(
    "fieldset",
    { disabled: true },
    element("legend", {}, scale.title),
    element("p", {}, scale.question),
    element("div", { class: "points" }, ...points),
  );
}

function problemForm(send) {
  const text = element("textarea", { maxLength: 500, id: "problem", "aria-label": "What does not work?" });
  const button = element("button", { type: "button", class: "quiet" }, "Leave this reply out");
  button.addEventListener("click", () => {
    if (text.value.trim()) send(text.value.trim());
    else text.focus();
  });
  return element(
    "details",
    {},
    element("summary", {}, "Something does not work"),
    element("p", {}, "Say what happens. The reply is then left out and you go on with the next."),
    text,
    actions(button),
  );
}

function showItem(screen) {
  const fieldsets = screen.scales.map(scaleFields);
  const submit = element("button", { type: "submit", disabled: true }, "Send and go on");
  let begun = screen.begun ? Promise.resolve() : null;
  let heard = false;
  const player = makePlayer(screen.segments, {
    begin: () => {
      say("");
      begun = begun || ask("/api/begin", { showing: screen.showing }).catch((error) => {
        begun = null; // The next play tries again.
        return refused(error);
      });
    },
    end: () => {
      if (heard) return;
      heard = true;
      for (const fieldset of fieldsets) fieldset.disabled = false;
      submit.disabled = false;
      player.hint.textContent = "Now rate the replies.";
      fieldsets[0].querySelector("input").focus({ preventScroll: true });
    },
    fail: say,
  });
  stopPlaying = player.stop;
  player.hint.textContent = "You can rate when all has been played.";
  async function send(body) {
    submit.disabled = true;
    player.stop();
    await begun;
    const done = await step("/api/rate", { showing: screen.showing, plays: player.plays(), ...body }, (next) => {
      if (next.feedback.length > 0) showFeedback(next);
      else show(next);
    });
    submit.disabled = done || !heard;
  }
  const form = element(
    "form",
    { noValidate: true },
    ...fieldsets,
    actions(submit),
    problemForm((problem) => send({ ratings: null, problem })),
  );
  const chosen = (scale) => form.querySelector(`input[name="${scale.name}"]:checked`);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const open = screen.scales.findIndex((scale) => !chosen(scale));
    if (submit.disabled) return;
    if (open >= 0) {
      fieldsets[open].querySelector("input").focus();
      say(`Rate this scale too: ${screen.scales[open].title}`);
      return;
    }
    const ratings = Object.fromEntries(screen.scales.map((scale) => [scale.name, Number(chosen(scale).value)]));
    send({ ratings });
  });
  form.addEventListener("keydown", (event) => {
    const fieldset = event.target.closest("fieldset");
    if (!fieldset || !/^[1-5]$/.test(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    fieldset.querySelectorAll("input")[Number(event.key) - 1].checked = true;
    const next = fieldsets[fieldsets.indexOf(fieldset) + 1];
    (next ? next.querySelector("input:checked") || next.querySelector("input") : submit).focus();
  });
  const title = screen.part === "training" ? "Practice" : "Reply";
  const heading = element("h1", { tabIndex: -1 }, `${title} ${screen.number} of ${screen.of}`);
  const again = screen.again && screen.number === 1
    ? [element("p", { class: "note" }, "Once more from the start: too many practice replies were rated far from what they are meant to be. Listen for beeps, and read again what each scale asks.")]
    : [];
  const made = screen.segments.some((segment) => segment.words)
    ? [element("p", { class: "note" }, "An example with a made-up face and made-up voices that have no words: read what is said below the picture, and listen to how it sounds.")]
    : [];
  main.replaceChildren(heading, ...again, ...made, element("div", { class: "item" }, player.root, form));
  player.button.focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

function showFeedback(next) {
  const rows = next.feedback.map((one) => {
    const off = Math.abs(one.given - one.expected);
    const enough = one.exact ? 0 : 1;
    const word = off === 0 ? "as meant" : off <= enough ? "close enough" : "too far off";
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, one.title),
      element("td", {}, String(one.given)),
      element("td", {}, String(one.expected)),
      element("td", { class: off > enough ? "bad" : "good" }, word),
    );
  });
  const head = ["Scale", "You", "Meant", ""].map((text) => element("th", { scope: "col" }, text));
  page(
    "How this one is meant to be rated",
    element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)),
    ...next.feedback.filter((one) => one.why).map((one) => element(
      "p",
      { class: "note" },
      ...(next.feedback.length > 1 ? [element("b", {}, `${one.title}: `)] : []),
      one.why,
    )),
    element("p", { class: "hint" }, next.feedback[0].exact
      ? "It ended in beeps: their number goes on every scale, exactly."
      : "A point more or less is fine. Scales that do not stand here are up to you."),
    actions(primary("Go on", () => show(next))),
  );
}

const ENDINGS = {
  done: ["Thank you", "All your ratings are saved."],
  full: ["No place is left", "All places are taken at the moment. Come back later: one may become free."],
  failed: ["The practice did not work out", "Thank you for your time. Nothing more is asked of you."],
  unfit: ["Picture or sound do not work", "The study needs both. You can close this page. Thank you for your time."],
  lapsed: ["Your place was given to another", "There was no sign of you for a long time. What you rated is saved. Thank you."],
};

function showEnd(screen) {
  const [title, text] = ENDINGS[screen.why];
  const code = screen.code
    ? [element("p", {}, "Your completion code:"), element("p", { class: "code" }, screen.code)]
    : [];
  page(title, element("p", {}, text), ...code);
}

function showProgress(screen) {
  progress.hidden = screen.screen !== "item";
  if (progress.hidden) return;
  const part = screen.part === "training" ? "Practice" : screen.blocks > 1 ? `Part ${screen.block} of ${screen.blocks}` : "Replies";
  document.getElementById("progress-text").textContent = `${part}: ${screen.number} of ${screen.of}`;
  document.getElementById("progress-bar").value = (screen.number - 1) / screen.of;
}

const SCREENS = { consent: showConsent, device: showDevice, instructions: showInstructions, item: showItem, end: showEnd };

function show(screen) {
  stopPlaying(); // A player that is taken off the page would go on.
  stopPlaying = () => {};
  showProgress(screen);
  if (screen.pause && !screen.begun) showPause(screen);
  else SCREENS[screen.screen](screen);
}

document.addEventListener("keydown", (event) => {
  const button = document.querySelector(".player button");
  if (event.key.toLowerCase() !== "p" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!button || event.target.closest("textarea, input[type=number]")) return;
  event.preventDefault();
  button.click();
});

ask("/api/screen").then(show, (error) => page("Rating study", element("p", {}, error.message)));
