// Keys, and new rules from what is selected in a dialogue or clicked on an image. Everything else is htmx.
"use strict";
(() => {
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const chosen = new Map(); // lines clicked on images: element → text

  function writing(event) {
    const at = event.target;
    // keyCode 229: the key belongs to an input method that is composing Chinese
    return event.isComposing || event.keyCode === 229 || at.isContentEditable ||
      ["INPUT", "TEXTAREA", "SELECT"].includes(at.tagName);
  }

  // Caps Lock and the punctuation of an input method make another character of a key, not another key.
  function keyOf(event) {
    const alike = { "？": "?", "、": "/", "／": "/", "\u3000": " " };
    if (/^[a-z]$/i.test(event.key)) return event.shiftKey ? event.key.toUpperCase() : event.key.toLowerCase();
    return alike[event.key] || event.key;
  }

  function submit(form) {
    if (form) form.requestSubmit();
  }

  function step(selector, by) {
    const items = all(selector);
    if (!items.length) return null;
    const now = items.findIndex((item) => item.classList.contains("here"));
    const next = items[Math.min(Math.max(now + by, 0), items.length - 1)];
    items.forEach((item) => item.classList.toggle("here", item === next));
    next.scrollIntoView({ block: "nearest" });
    return next;
  }

  function help() {
    one("#help").showModal();
    one("#help .columns").focus(); // not the button below it, which would hide the beginning
  }

  function press(key) {
    const deciding = one("[data-rule], [data-issue]");
    if (key === "?") return help(), true;
    if (key === "u") return submit(one("#undo")), true;
    if (key === "/") {
      const search = one("[data-search]");
      if (search) search.focus(); else if (one("[data-up]")) one("[data-up]").click();
      return true;
    }
    if (!deciding) {
      if (key === "z" && one("[data-sample]")) return enlarge(one("[data-sample]")), true;
      if (key === "l" && one("[data-sample]")) return listen(one("[data-sample]")), true;
      if (key === "j") return step("[data-row]", 1), true;
      if (key === "k") return step("[data-row]", -1), true;
      const row = one("[data-row].here a");
      if (key === "Enter" && row) return row.click(), true;
      return false;
    }
    if (key === "j" && one("[data-after]")) return one("[data-after]").click(), true;
    if (key === "k" && one("[data-before]")) return one("[data-before]").click(), true;
    if (key === "n") return step("[data-sample]", 1), true;
    if (key === "p") return step("[data-sample]", -1), true;
    if (key === "z") return enlarge(one("[data-sample].here") || one("[data-sample]")), true;
    if (key === "l") return listen(one("[data-sample].here") || one("[data-sample]")), true;
    if (key === "m" && one("[data-note]")) return one("[data-note]").focus(), true;
    if (key === " ") return submit(one("#skip")), true;
    const pin = one(`[data-sample].here [data-pin="${CSS.escape(key)}"]`);
    if (pin) return pin.click(), true;
    const button = all("[data-key]").find((each) => each.dataset.key === key);
    if (button) return button.click(), true;
    return false;
  }

  function enlarge(sample) {
    const button = sample && one("[data-enlarge]", sample);
    if (!button) return;
    one(".images", sample).classList.toggle("large");
    sample.scrollIntoView({ block: "nearest" });
  }

  // Play a sound, from a second on where one is given. What cannot be played is told beside it (`error` below).
  function play(audio, from) {
    if (from !== undefined) audio.currentTime = from;
    audio.play().catch(() => {});
  }

  function listen(sample) {
    const audio = sample && one("audio", sample);
    if (!audio) return;
    const playing = [...sample.querySelectorAll("audio")].find((each) => !each.paused);
    const jump = one("[data-jump]", sample);
    if (playing) playing.pause();
    else if (jump) jump.click();
    else play(audio);
  }

  // One sound at a time.
  document.addEventListener("play", (event) => {
    all("audio").filter((each) => each !== event.target).forEach((each) => each.pause());
  }, true);

  // A browser tries one source after the other: where the last one fails there is nothing to play.
  document.addEventListener("error", (event) => {
    if (!event.target.matches("audio > source:last-of-type")) return;
    const audio = event.target.parentElement;
    audio.hidden = true;
    one(".unplayed", audio.parentElement).hidden = false;
  }, true);

  function show(sentence) {
    const line = document.createElement("p");
    line.className = "warning";
    line.setAttribute("role", "alert");
    line.textContent = sentence;
    one("#alert").replaceChildren(line);
    window.scrollTo(0, 0);
  }

  // What a long dialogue is shown for comes into sight; a row that one comes back to as well.
  function settle() {
    all(".turns").forEach((turns) => {
      const mark = one("mark", turns);
      if (!mark || turns.scrollTop) return;
      const below = mark.getBoundingClientRect().bottom - turns.getBoundingClientRect().bottom;
      if (below > 0) turns.scrollTop = below + turns.clientHeight / 2;
    });
  }

  function arrive() {
    const row = one("[data-row].here");
    if (row) row.scrollIntoView({ block: "center" });
    const first = one("[data-first]");
    if (first) first.focus();
    settle();
  }
  // The way back, and a reload, read a page anew: where one was on it is kept beside its address.
  history.scrollRestoration = "manual";
  const place = () => `kdsl ${location.pathname}${location.search}`;

  function leave() {
    const here = one(".here");
    const at = here && (here.dataset.row || here.dataset.sample);
    sessionStorage.setItem(place(), JSON.stringify({ at, y: window.scrollY }));
  }

  function comeBack() {
    const kept = JSON.parse(sessionStorage.getItem(place()));
    if (!kept || performance.getEntriesByType("navigation")[0].type === "navigate") return;
    const here = all("[data-row], [data-sample]").find((each) => [each.dataset.row, each.dataset.sample].includes(kept.at));
    if (here && !one(".here")) here.classList.add("here");
    window.scrollTo(0, kept.y);
  }
  document.addEventListener("DOMContentLoaded", () => { arrive(); comeBack(); });
  let returning = false; // the address is another page's already, what is shown not yet
  window.addEventListener("popstate", () => { returning = true; });
  window.addEventListener("pagehide", () => { if (!returning) leave(); });

  let looked = null; // the hit that one was at, on a rule's page that comes again
  let busy = false; // one key decides one rule: keys wait until the next one is there, its forms ready
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.target.id !== "main") return;
    busy = true;
    leave();
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const into = event.detail.target.id;
    if (into === "main" || into === "alert") busy = false;
    if (into !== "main") return settle();
    one("#alert").replaceChildren();
    arrive();
    const again = looked && shownRule() === looked.rule && one(`[data-sample="${CSS.escape(looked.sample)}"]`);
    if (again) again.classList.add("here");
  });
  document.addEventListener("htmx:sendError", () => {
    busy = false;
    show("kdsl review does not answer: nothing was saved. / 服务没有响应：未保存。");
  });
  document.addEventListener("htmx:responseError", (event) => {
    if (event.detail.xhr.status < 500) return;
    busy = false;
    show("kdsl review failed; the terminal says why. / 服务出错，终端里有说明。");
  });
  const shownRule = () => (one("[data-rule]") ? one("[data-rule]").dataset.rule : "");

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && writing(event) && !event.isComposing) {
      if (event.target.closest("#reason")) one("#reason").hidden = true;
      return event.target.blur();
    }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.closest("[data-editor]")) {
      event.preventDefault();
      const form = event.target.closest("[data-editor]");
      return (one("button.accept", form) || one("button", form)).click(); // a click: its value is sent too
    }
    if (writing(event) || event.ctrlKey || event.metaKey || event.altKey || one("#help").open) return;
    if ([" ", "Enter"].includes(event.key) && event.target.closest("button, a, summary, audio")) return;
    const key = keyOf(event);
    if (busy || event.repeat) { if (key === " ") event.preventDefault(); return; }
    if (press(key)) event.preventDefault();
  });

  // After a filter is set the keys belong to the list again, unless one moves through the filters by keyboard.
  document.addEventListener("change", (event) => {
    const at = event.target;
    if (at.closest(".filters") && (at.matches("[data-search]") || !at.matches(":focus-visible"))) at.blur();
  });

  // Of a condition's inputs those of the chosen field are shown; the others keep what was written into them.
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-chooses]")) return;
    const option = event.target.selectedOptions[0];
    const condition = event.target.closest(".condition");
    condition.dataset.test = option.dataset.test;
    one("textarea", condition).placeholder = option.dataset.hint;
    one("textarea", condition).setAttribute("aria-label", option.dataset.hint);
  });

  // A slider and the number beside it say the same; only the number is sent.
  document.addEventListener("input", (event) => {
    const threshold = event.target.closest("[data-threshold]");
    if (!threshold) return;
    const [slider, number] = [one("[type=range]", threshold), one("input[name]", threshold)];
    if (event.target === slider) number.value = slider.value;
    if (event.target === number) slider.value = number.value;
  });

  function offer() {
    const selection = String(window.getSelection()).trim();
    const anchor = window.getSelection().anchorNode;
    const part = anchor && (anchor.nodeType === 1 ? anchor : anchor.parentElement).closest("[data-field]");
    let values = null;
    let zones = [];
    if (chosen.size) {
      const lines = [...chosen.keys()];
      values = { sample: lines[0].closest("[data-sample]"), field: "ocr", terms: [...chosen.values()] };
      zones = [...new Set(lines.map((line) => line.dataset.zone))];
    } else if (part && selection && selection.length <= 40 && !selection.includes("\n")) {
      values = { sample: part.closest("[data-sample]"), field: part.dataset.field, terms: [selection] };
    }
    one("#offer").hidden = !(values && values.sample);
    if (one("#offer").hidden) return;
    const anywhere = one("#from-selection");
    anywhere.textContent = `${anywhere.dataset.words} ${values.terms.join(" | ")}`;
    anywhere.onclick = () => begin(values, values.field);
    const meaning = one("#from-meaning"); // there is none without an encoder
    if (meaning) meaning.textContent = `${meaning.dataset.words} ${values.terms.join(" | ")}`;
    if (meaning) meaning.onclick = () => begin(values, "means", values.field);
    const zone = one("#from-zone");
    zone.hidden = zones.length !== 1 || !zones[0];
    if (zone.hidden) return;
    zone.textContent = zones[0] === "ocr.top" ? zone.dataset.top : zone.dataset.bottom;
    zone.onclick = () => begin(values, zones[0]);
  }

  function begin(values, field, compared = "") {
    const query = new URLSearchParams({ field, compared, label: values.sample.dataset.label });
    values.terms.forEach((term) => query.append("term", term));
    window.location = `/t/${encodeURIComponent(values.sample.dataset.task)}/new?${query}`;
  }
  document.addEventListener("selectionchange", offer);

  document.addEventListener("click", (event) => {
    const at = event.target;
    if (at.closest("[data-help]")) help();
    const key = at.closest("[data-press]");
    if (key) press(key.dataset.press);
    const jump = at.closest("[data-jump]");
    if (jump) play(one("audio", jump.closest(".sound")), Number(jump.dataset.jump));
    if (at.closest("[data-enlarge]")) enlarge(at.closest("[data-sample]"));
    const focus = at.closest("[data-focus]");
    if (focus) one(focus.dataset.focus).focus();
    const reveal = at.closest("[data-reveal]");
    if (reveal) {
      const form = one(`#${reveal.dataset.reveal}`);
      form.hidden = false;
      one("input[name=reason]", form).focus();
    }
    if (at.closest("[data-add]")) {
      const place = one("#conditions");
      const copy = one("#condition").content.cloneNode(true);
      const number = Number(place.dataset.next);
      place.dataset.next = String(number + 1);
      copy.querySelectorAll("[name]").forEach((field) => { field.name = field.name.replace("N", number); });
      place.append(copy);
      one(`[name=test-${number}]`).focus();
    }
    const line = at.closest("rect.line");
    if (line) {
      if (chosen.delete(line)) line.classList.remove("chosen");
      else { chosen.set(line, line.dataset.text); line.classList.add("chosen"); }
      offer();
    }
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    // Lines that go are no longer chosen; other parts of the page may come meanwhile.
    [...chosen.keys()].filter((line) => event.detail.target.contains(line)).forEach((line) => chosen.delete(line));
    offer();
    if (event.detail.target.id !== "main") return;
    one("#offer").hidden = true;
    const here = one("[data-sample].here");
    looked = here && { rule: shownRule(), sample: here.dataset.sample };
  });
})();
