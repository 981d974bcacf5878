// What the pages do beyond links and forms. Without this file they still work.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);

  // Ages ("5 min") go on while the page is open.
  const SIZES = [[2592000, "mo"], [86400, "d"], [3600, "h"], [60, "min"]];
  function age(seconds) {
    for (const [size, name] of SIZES) if (seconds >= size) return `${Math.floor(seconds / size)} ${name}`;
    return "now";
  }
  function renewAges() {
    for (const time of document.querySelectorAll("time[datetime]")) {
      const text = age((Date.now() - Date.parse(time.dateTime)) / 1000);
      if (time.textContent !== text) time.textContent = text;
    }
  }

  // A draft outlives a reload, a lost connection and a closed tab; it goes when its form is sent.
  function keepDrafts() {
    for (const area of document.querySelectorAll("textarea[data-draft]")) {
      const key = `draft ${area.dataset.draft}`;
      try {
        if (!area.value) area.value = localStorage.getItem(key) ?? "";
        area.addEventListener("input", () => {
          if (area.value) localStorage.setItem(key, area.value); else localStorage.removeItem(key);
        });
        area.form.addEventListener("submit", () => {
          sessionStorage.setItem("sent", JSON.stringify([key, location.pathname]));
        });
      } catch { /* a browser that keeps nothing */ }
    }
    try { // the server took it when it shows another page, or the same without a refusal
      const [key] = JSON.parse(sessionStorage.getItem("sent") ?? "[]");
      if (key && !document.querySelector(".refusals")) {
        localStorage.removeItem(key);
        const area = document.querySelector(`textarea[data-draft="${CSS.escape(key.slice(6))}"]`);
        if (area) area.value = area.defaultValue;
      }
      sessionStorage.removeItem("sent");
    } catch { /* the same */ }
  }

  // A form is sent once, however often its button is pressed; a page that comes back from the history is alive again.
  function sendOnce() {
    document.addEventListener("submit", (event) => {
      const form = event.target;
      if (form.method !== "post") return;
      if (form.dataset.sent) { event.preventDefault(); return; }
      form.dataset.sent = "true";
      event.submitter?.setAttribute("aria-busy", "true");
    });
    addEventListener("pageshow", () => {
      for (const form of document.forms) delete form.dataset.sent;
      for (const busy of document.querySelectorAll("[aria-busy]")) busy.removeAttribute("aria-busy");
    });
  }

  // Ctrl+Enter sends what is written.
  addEventListener("keydown", (event) => {
    const area = event.target;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && area.matches?.("textarea")) area.form.requestSubmit();
    if (event.key === "/" && !event.target.closest?.("input, textarea, select")) {
      const search = document.querySelector("input[type=search]");
      if (search) { event.preventDefault(); search.focus(); }
    }
  });

  function selection() {
    const all = byId("select-all");
    if (!all) return;
    all.parentElement.hidden = false;
    const picks = () => [...document.querySelectorAll("#groups input[name=id]")];
    const tell = () => {
      const count = picks().filter((each) => each.checked).length;
      byId("selected").textContent = count ? `${count} selected:` : "Selected:";
      for (const button of byId("bulk").querySelectorAll("button")) button.disabled = !count;
      all.checked = count > 0 && count === picks().length;
    };
    all.addEventListener("change", () => { for (const each of picks()) each.checked = all.checked; tell(); });
    byId("groups").addEventListener("change", tell);
    tell();
    return tell;
  }

  // The groups come anew; what was selected, and where the focus was, stays.
  function groups() {
    const box = byId("groups");
    if (!box) return;
    const tell = selection();
    box.addEventListener("groups", (event) => {
      const chosen = new Set([...box.querySelectorAll("input[name=id]:checked")].map((each) => each.value));
      const active = document.activeElement;
      const focused = box.contains(active) ? [active.closest("li")?.id, active.tagName] : null;
      box.innerHTML = JSON.parse(event.detail.data);
      for (const each of box.querySelectorAll("input[name=id]")) each.checked = chosen.has(each.value);
      if (focused?.[0]) byId(focused[0])?.querySelector(focused[1].toLowerCase())?.focus({preventScroll: true});
      renewAges();
      tell();
    });
  }

  // Items of the conversation that are new, or have grown; all of a frame at once.
  let waiting = new Map();
  function showItems() {
    const talk = byId("talk");
    const fresh = document.createDocumentFragment();
    for (const [id, html] of waiting) {
      const made = document.createElement("template");
      made.innerHTML = html;
      const element = made.content.firstElementChild;
      const old = byId(id) ?? fresh.querySelector(`#${CSS.escape(id)}`);
      if (old && element) { if (old.open) element.open = true; old.replaceWith(element); }
      else if (element) fresh.append(element);
    }
    waiting = new Map();
    talk.append(fresh);
    while (talk.childElementCount > 400) talk.firstElementChild.remove();
  }
  function session() {
    document.addEventListener("items", (event) => {
      if (!waiting.size) requestAnimationFrame(showItems);
      for (const [id, html] of JSON.parse(event.detail.data)) waiting.set(id, html);
    });
    document.addEventListener("end", () => {
      tellConnection(null);
      for (const each of document.querySelectorAll(".said")) each.remove(); // it told of what has ended
      const reply = document.querySelector(".reply");
      if (reply) {
        reply.querySelector("button").textContent = "Follow up";
        reply.querySelector("textarea").placeholder = reply.dataset.ended;
        const budget = reply.querySelector(".budget");
        if (budget && byId("head").textContent.includes("budget_exhausted")) budget.open = true;
      }
    });
    document.addEventListener("stale", () => {
      htmx.ajax("GET", location.pathname + location.search, {target: "#live", select: "#live", swap: "outerHTML"});
    });
  }

  // What is shown is said to be old while nothing comes.
  function tellConnection(text) {
    const line = byId("connection");
    if (!line) return;
    line.hidden = !text;
    line.textContent = text ?? "";
  }
  function connection() {
    document.addEventListener("htmx:sse:error", () => tellConnection("The connection is lost. What you see may be old; trying again."));
    document.addEventListener("htmx:sse:after:connection", () => tellConnection(null));
    document.addEventListener("htmx:sse:close", (event) => {
      if (event.detail.reason === "ended") tellConnection("The connection has ended. Reload to go on.");
    });
  }

  keepDrafts();
  sendOnce();
  groups();
  session();
  connection();
  document.querySelector("form[data-onward]")?.requestSubmit(); // whose page has nothing else to say
  renewAges();
  setInterval(renewAges, 15000);
})();
