// Plays an item's recordings one after another, with no way to skip.

export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") made.className = value;
    else if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

const SPEAKERS = { user: "The person", reply: "The reply", clip: "The clip" };

/**
 * @param segments the recordings in order: {speaker: user, reply or clip, media, words: shown while it plays, or empty}
 * @param on.begin called when playing starts
 * @param on.end called each time the last recording has ended
 * @param on.fail called with a sentence where a recording does not play
 */
export function makePlayer(segments, on) {
  const video = element("video", { playsInline: true, preload: "auto", disablePictureInPicture: true });
  const bars = element("div", { class: "bars", "aria-hidden": "true" }, ...Array.from({ length: 5 }, () => element("i")));
  const who = element("div", {}, "Press play");
  const voice = element("div", { class: "voice" }, element("div", {}, bars, who));
  const parts = segments.map((segment) => element("li", { "aria-label": SPEAKERS[segment.speaker] }));
  const part = element("p", { class: "part" }, segments.length > 1 ? `${segments.length} recordings` : "");
  const words = element("div", { class: "words" });
  const button = element("button", { type: "button" }, "Play");
  const hint = element("p", { class: "hint" });
  const root = element(
    "section",
    { class: "player", "aria-label": "Recordings" },
    element("div", { class: "stage" }, video, voice),
    element("ol", { class: "parts" }, ...parts),
    part,
    words,
    button,
    hint,
  );
  let current = -1;
  let plays = 0;
  let reached = 0;

  function show(index) {
    parts.forEach((one, number) => {
      one.className = number === index ? "now" : number < index || plays > 0 ? "heard" : "";
    });
  }

  // What is said, where the voices have no words.
  function showWords(spoken) {
    words.replaceChildren(...spoken.filter((segment) => segment.words).map((segment) => (
      element("p", {}, element("b", {}, `${SPEAKERS[segment.speaker]}: `), segment.words)
    )));
  }

  function playSegment(index) {
    current = index;
    reached = 0;
    root.classList.remove("heard");
    show(index);
    who.textContent = SPEAKERS[segments[index].speaker];
    part.textContent = segments.length > 1 ? `${who.textContent}, ${index + 1} of ${segments.length}` : who.textContent;
    showWords([segments[index]]);
    voice.hidden = false;
    video.src = `/media/${segments[index].media}`;
    video.play().catch(failed);
  }

  function failed(error) {
    // A new source ends the wait for the one before: nothing is wrong with either.
    if (error && error.name === "AbortError") return;
    root.classList.remove("playing");
    button.textContent = "Try again";
    current = -1;
    on.fail("This recording does not play. Try again, or say below what happens.");
  }

  // Keys of the keyboard and menus of the browser could skip or hurry otherwise.
  video.addEventListener("timeupdate", () => {
    if (!video.seeking) reached = Math.max(reached, video.currentTime);
  });
  video.addEventListener("seeking", () => {
    if (video.currentTime > reached + 0.5) video.currentTime = reached;
  });
  video.addEventListener("ratechange", () => {
    if (video.playbackRate !== 1) video.playbackRate = 1;
  });
  video.addEventListener("contextmenu", (event) => event.preventDefault());
  video.addEventListener("loadedmetadata", () => {
    voice.hidden = video.videoWidth > 0;
  });
  video.addEventListener("playing", () => root.classList.add("playing"));
  video.addEventListener("pause", () => root.classList.remove("playing"));
  video.addEventListener("error", () => failed(video.error));
  video.addEventListener("ended", () => {
    if (current + 1 < segments.length) {
      playSegment(current + 1);
      return;
    }
    root.classList.remove("playing");
    current = -1;
    plays += 1;
    root.classList.add("heard");
    show(-1);
    showWords(segments);
    button.textContent = "Play again";
    on.end();
  });
  button.addEventListener("click", () => {
    if (current < 0) {
      on.begin();
      button.textContent = "Pause";
      playSegment(0);
    } else if (video.paused) {
      button.textContent = "Pause";
      video.play().catch(failed);
    } else {
      button.textContent = "Go on";
      video.pause();
    }
  });
  // Lets go of the recording, which the server no longer gives once the next item is there.
  function stop() {
    root.classList.remove("playing");
    current = -1;
    video.removeAttribute("src");
    video.load();
  }
  return { root, button, hint, plays: () => plays, stop };
}
