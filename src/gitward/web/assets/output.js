// The output of a run while it comes: lines and colours are made here, at most once a frame, and the last rows are kept.
// `content/terminal.py` does the same on the server; a test compares the two.
"use strict";
const gitwardOutput = (() => {
  const ROWS = 5000;
  const LONGEST = 4000; // characters of one line
  const NAMES = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
  const SEQUENCE = /\x1b\[([0-9;:]*)m|\x1b\[[0-?]*[ -\/]*[@-~]?|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|\x1b[ -\/]*[0-~]?|\x08/g;
  const HIDDEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}\ud800-\udfff]/gu;
  const M = "\\u0300-\\u036f\\u1ab0-\\u1aff\\u1dc0-\\u1dff\\u20d0-\\u20ff\\ufe20-\\ufe2f";
  const MARKS = new RegExp(`([${M}]{4})[${M}]+`, "g");
  const visible = (text) => text.replace(MARKS, "$1").replace(HIDDEN, (c) => `⟨U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);

  const PLAIN = Object.freeze({color: "", background: "", bold: false, dim: false, italic: false, underline: false, inverse: false});
  const SWITCHES = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse"};

  function classes(style) {
    const front = style.inverse ? style.background || "back" : style.color;
    const back = style.inverse ? style.color || "front" : style.background;
    const names = [front && `c-${front}`, back && `b-${back}`];
    for (const name of ["bold", "dim", "italic", "underline"]) if (style[name]) names.push(`t-${name}`);
    return names.filter(Boolean).join(" ");
  }
  function nearest(red, green, blue) {
    const most = Math.max(red, green, blue);
    if (most < 64) return "black";
    return NAMES[(red > most * 0.6 ? 1 : 0) + (green > most * 0.6 ? 2 : 0) + (blue > most * 0.6 ? 4 : 0)];
  }
  function of256(number) {
    if (number < 16) return NAMES[number % 8];
    if (number < 232) {
      const cube = number - 16;
      return nearest(Math.floor(cube / 36) * 51, Math.floor(cube / 6) % 6 * 51, cube % 6 * 51);
    }
    const gray = (number - 232) * 10 + 8;
    return nearest(gray, gray, gray);
  }
  function extended(rest) {
    if (rest[0] === 5 && rest.length > 1) return [of256(rest[1]), 2];
    if (rest[0] === 2 && rest.length > 3) return [nearest(rest[1], rest[2], rest[3]), 4];
    return ["", rest.length];
  }
  function restyled(style, codes) {
    const numbers = codes.split(/[;:]/).map((each) => (each ? parseInt(each.slice(0, 4), 10) : 0)).slice(0, 32);
    for (let at = 0; at < numbers.length;) {
      const number = numbers[at++];
      if (number === 38 || number === 48) {
        const [color, taken] = extended(numbers.slice(at));
        at += taken;
        style = number === 38 ? {...style, color} : {...style, background: color};
      } else style = one(style, number);
    }
    return style;
  }
  function one(style, number) {
    if (number === 0) return PLAIN;
    if (SWITCHES[number]) return {...style, [SWITCHES[number]]: true};
    if (number === 22) return {...style, bold: false, dim: false};
    if (number === 23 || number === 24 || number === 27) return {...style, [SWITCHES[number - 20]]: false};
    if (number === 39) return {...style, color: ""};
    if (number === 49) return {...style, background: ""};
    if ((number >= 30 && number <= 37) || (number >= 90 && number <= 97)) return {...style, color: NAMES[number % 10]};
    if ((number >= 40 && number <= 47) || (number >= 100 && number <= 107)) return {...style, background: NAMES[number % 10]};
    return style;
  }

  class Terminal {
    style = PLAIN;
    line(row) {
      row = row.replace(/\r+$/, "");
      row = row.slice(row.lastIndexOf("\r") + 1);
      const pieces = [];
      let room = LONGEST, at = 0;
      for (const found of row.matchAll(SEQUENCE)) {
        room -= this.add(pieces, row.slice(at, found.index), room);
        at = found.index + found[0].length;
        if (found[1] !== undefined) this.style = restyled(this.style, found[1]);
      }
      const left = row.length - at - room;
      this.add(pieces, row.slice(at), room);
      if (left > 0) pieces.push(["more", ` … ${left} more characters`]);
      return pieces;
    }
    add(pieces, text, room) {
      text = text.slice(0, Math.max(0, room));
      if (text) pieces.push([classes(this.style), visible(text)]);
      return text.length;
    }
  }

  function start() {
    const box = document.getElementById("output");
    if (!box || box.dataset.started) return;
    box.dataset.started = "true";
    const terminal = new Terminal();
    const follow = document.getElementById("follow");
    follow.parentElement.hidden = false;
    let last = Number(box.dataset.last), step = box.dataset.step || "";
    let open = box.dataset.open ? box.lastElementChild : null; // a line without its end yet
    let rest = open ? open.textContent : "";
    let pending = [], scheduled = false, own = false;

    const schedule = () => { if (!scheduled) { scheduled = true; requestAnimationFrame(flush); } };
    function take(text, of) {
      if (of !== step && of) { endLine(); pending.push({step: of}); step = of; }
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      for (const line of lines) { pending.push({line, open}); open = null; }
      if (pending.length > 2 * ROWS) pending = pending.slice(-ROWS);
    }
    function endLine() { if (rest) { pending.push({line: rest, open}); rest = ""; open = null; } }
    function row(pieces) {
      const made = document.createElement("div");
      for (const [names, text] of pieces) {
        if (!names) { made.append(text); continue; }
        const span = document.createElement("span");
        span.className = names;
        span.textContent = text;
        made.append(span);
      }
      return made;
    }
    function flush() {
      scheduled = false;
      const fragment = document.createDocumentFragment();
      const skipped = pending.length - ROWS;
      pending.forEach((each, place) => {
        if (each.open) { each.open.replaceWith(row(terminal.line(each.line))); return; }
        if (each.step) { if (place >= skipped) { const made = document.createElement("div"); made.className = "row-step"; made.textContent = each.step.replaceAll("_", " "); fragment.append(made); } return; }
        const pieces = terminal.line(each.line); // those that are not shown may change the colour
        if (place >= skipped) fragment.append(row(pieces));
      });
      pending = [];
      if (rest) { // shown as far as it is there
        const style = terminal.style;
        const made = row(terminal.line(rest));
        terminal.style = style;
        if (open) open.replaceWith(made); else fragment.append(made);
        open = made;
      }
      const over = box.childElementCount + fragment.childElementCount - ROWS;
      if (over > 0 && box.childElementCount) {
        const range = document.createRange();
        range.setStartBefore(box.firstElementChild);
        range.setEndAfter(box.children[Math.min(over, box.childElementCount) - 1]);
        range.deleteContents();
      }
      box.append(fragment);
      box.hidden = false;
      document.getElementById("no-output").hidden = box.childElementCount > 0;
      if (follow.checked) { own = true; box.scrollTop = box.scrollHeight; }
      if (find.value) mark();
    }

    document.addEventListener("lines", (event) => {
      if (!document.contains(box)) return;
      const told = JSON.parse(event.detail.data);
      if (told.skipped) { pending = []; rest = ""; open = null; }
      for (const [seq, of, , text] of told.pieces) if (seq > last) { last = seq; take(text, of); }
      schedule();
    });

    // Who scrolls up reads: nothing moves under the eyes until the end is reached again.
    box.addEventListener("scroll", () => {
      if (own) { own = false; return; }
      follow.checked = box.scrollHeight - box.scrollTop - box.clientHeight < 24;
    }, {passive: true});
    follow.addEventListener("change", () => { if (follow.checked) { own = true; box.scrollTop = box.scrollHeight; } });

    const find = document.getElementById("find");
    let hits = [], place = -1;
    function mark() {
      const words = find.value.toLowerCase();
      hits = [];
      for (const each of box.children) {
        const hit = words !== "" && each.textContent.toLowerCase().includes(words);
        if (each.classList.contains("hit") !== hit) each.classList.toggle("hit", hit);
        if (hit) hits.push(each);
      }
      document.getElementById("hits").textContent = words ? `${hits.length} here, Enter for the next` : "";
    }
    let soon = 0;
    find.addEventListener("input", () => { clearTimeout(soon); place = -1; soon = setTimeout(mark, 150); });
    find.form.addEventListener("submit", (event) => {
      mark();
      if (!hits.length) return; // not among these: the server looks through all
      event.preventDefault();
      place = (place + (event.submitter ? 1 : 1)) % hits.length;
      follow.checked = false;
      own = true;
      for (const each of box.querySelectorAll(".now")) each.classList.remove("now");
      hits[place].classList.add("now");
      hits[place].scrollIntoView({block: "nearest"});
    });

    if (follow.checked) { own = true; box.scrollTop = box.scrollHeight; }
  }

  start();
  document.addEventListener("htmx:after:swap", start); // the page fetched itself anew
  return {Terminal};
})();
