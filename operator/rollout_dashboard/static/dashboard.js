// Keeps a page live by server-sent events, and opens commands in a dialog. Without it every page
// works all the same, as it was when it was loaded.
"use strict";

const byId = (id) => document.getElementById(id);

function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  const m = Math.floor(s / 60);
  if (m < 60) return `${m} min` + (s % 60 && m < 10 ? ` ${s % 60} s` : "");
  const h = Math.floor(m / 60);
  if (h < 24) return `${h} h` + (m % 60 ? ` ${m % 60} min` : "");
  const d = Math.floor(h / 24);
  return `${d} d` + (h % 24 && d < 10 ? ` ${h % 24} h` : "");
}

function tellTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const lasted = span((Date.now() - at.getTime()) / 1000);
    if ("clock" in time.dataset) time.textContent = at.toLocaleTimeString();
    else time.textContent = "ago" in time.dataset ? `${lasted} ago` : lasted;
    time.title = at.toLocaleString();
  }
}

function announce(sentences) {
  if (sentences.length) byId("announce").textContent = sentences.join(" ");
}

function state(name, why) {
  const live = byId("live");
  if (!live || (live.dataset.state === name && live.title === (why || ""))) return;
  live.dataset.state = name;
  live.title = why || "";
  live.querySelector(".live-text").textContent =
    { live: "Live", lost: why || "Not live: trying again", login: "Logged out" }[name];
}

function rowOf(html) {
  const body = document.createElement("tbody");
  body.innerHTML = html;
  return body.firstElementChild;
}

function showRows(news) {
  const body = byId("rows");
  const known = new Map([...body.children].map((row) => [row.dataset.rollout, row]));
  const held = document.activeElement?.closest?.("tr[data-rollout]")?.dataset.rollout;
  for (const [id, html] of Object.entries(news.rows)) {
    const row = rowOf(html);
    const before = known.get(id);
    if (before) {
      before.replaceWith(row);
      row.classList.add("changed");
    } else if (!news.order) body.append(row);
    known.set(id, row);
  }
  if (news.order) {
    // Moved only where it has to be: what stays in place keeps its focus and selection.
    let place = body.firstElementChild;
    for (const id of news.order) {
      const row = known.get(id);
      if (!row) continue;
      if (row === place) place = place.nextElementSibling;
      else body.insertBefore(row, place);
    }
    const wanted = new Set(news.order);
    for (const row of [...body.children]) if (!wanted.has(row.dataset.rollout)) row.remove();
    byId("empty").hidden = news.order.length > 0;
  }
  if (news.summary !== null) byId("summary").innerHTML = news.summary;
  if (held) {
    const link = body.querySelector(`tr[data-rollout="${CSS.escape(held)}"] a`);
    if (link && document.activeElement !== link) link.focus({ preventScroll: true });
  }
  tellTimes(body);
  announce(news.said);
}

let asking = null;
let again = false;

async function refreshRollout(box) {
  if (asking) { again = true; return; }
  asking = htmx.ajax("GET", box.dataset.fragment, { target: box, swap: "innerMorph" });
  try { await asking; } catch { /* The stream says that the connection is lost. */ }
  asking = null;
  if (again) { again = false; refreshRollout(box); }
}

function listen(box, take) {
  const stream = new EventSource(box.dataset.events
    + (box.dataset.events.includes("?") && !box.dataset.events.endsWith("?") ? "&" : "")
    + `since=${encodeURIComponent(box.dataset.since)}`);
  let troubled = "";
  stream.addEventListener("open", () => { if (!troubled) state("live"); });
  stream.addEventListener("error", () => {
    state("lost");
    // A stream that was refused is not tried again by the browser: it is by us.
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => listen(box, take), 2000);
  });
  stream.addEventListener("trouble", (event) => {
    troubled = JSON.parse(event.data).why;
    state("lost", troubled);
  });
  stream.addEventListener("live", () => {
    troubled = "";
    byId("trouble")?.remove();
    state("live");
  });
  stream.addEventListener("login", (event) => {
    stream.close();
    state("login");
    const why = JSON.parse(event.data).why;
    announce([why]);
    const note = document.createElement("p");
    note.className = "note open";
    note.id = "expired";
    note.setAttribute("role", "alert");
    note.append(`${why} `);
    const link = document.createElement("a");
    link.href = `/login?expired=1&next=${encodeURIComponent(location.pathname + location.search)}`;
    link.textContent = "Log in";
    note.append(link);
    byId("main").prepend(note);
  });
  stream.addEventListener(take.event, (event) => take.show(JSON.parse(event.data)));
  addEventListener("pagehide", () => stream.close(), { once: true });
}

function begin() {
  tellTimes(document);
  setInterval(() => tellTimes(document), 5000);
  const table = byId("rollouts");
  if (table) listen(table, { event: "rows", show: showRows });
  const box = byId("rollout");
  if (box) {
    let phase = byId("status").dataset.phase;
    listen(box, {
      event: "changed",
      show: async (news) => {
        await refreshRollout(box);
        if (news.phase && news.phase !== phase) {
          phase = news.phase;
          announce([`The rollout is ${phase} now.`]);
        }
        drawPlots();
      },
    });
  }
  drawPlots();
}

// A page that comes back from the browser's cache was live once, and is old now.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

document.addEventListener("htmx:after:swap", () => tellTimes(document));

document.addEventListener("click", async (event) => {
  if (event.target.closest("#theme")) {
    const root = document.documentElement;
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* For this page only. */ }
    drawPlots(true);
    return;
  }
  const dialog = byId("dialog");
  if (event.target === dialog || (dialog.open && event.target.closest("[data-close]"))) {
    event.preventDefault();
    dialog.close();
    return;
  }
  const command = event.target.closest("a[data-action]");
  if (!command || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  openCommand(command);
});

async function openCommand(command) {
  const dialog = byId("dialog");
  const verb = command.dataset.action;
  const answer = await fetch(command.href, { headers: { Accept: "text/html" } }).catch(() => null);
  const page = answer
    ? new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("command")
    : null;
  if (!page) { location.href = command.href; return; }
  page.id = "command-dialog";
  dialog.replaceChildren(document.adoptNode(page));
  dialog.showModal();
  (dialog.querySelector("textarea") ?? dialog.querySelector("[data-close]"))?.focus();
  dialog.addEventListener(
    "close",
    () => {
      dialog.replaceChildren();
      document.querySelector(`[data-action="${verb}"]`)?.focus();
    },
    { once: true },
  );
}

for (const field of document.querySelectorAll("#filter select")) {
  field.addEventListener("change", () => field.form.requestSubmit());
}
byId("filter")?.addEventListener("submit", (event) => {
  // An empty field is no part of a view's address.
  for (const field of event.target.elements) if (!field.value) field.disabled = true;
});

begin();
