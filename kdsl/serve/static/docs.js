// The form of the page: asks the service with the token of this tab, and shows what it answers.
const one = (selector, root = document) => root.querySelector(selector);
const made = (template) => one(template).content.firstElementChild.cloneNode(true);
const media = []; // {name, address, kind}: address begins with data:, kind is "images" or "audio"
let tasks = [];
let decided = null; // {sample, task} of the decision that is shown

// The address that kdsl serve prints holds the token behind #, which browsers send nowhere; it is kept for this tab.
const token = () => sessionStorage.getItem("kdsl_token") ?? "";
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given === null) return;
  sessionStorage.setItem("kdsl_token", given);
  history.replaceState(null, "", location.pathname + location.search);
}

function tell(sentence) {
  one("#alert").textContent = sentence;
  one("#alert").hidden = !sentence;
}

// The answer; undefined where the service refuses, which the page then says.
async function call(address, body, kind = "application/json") {
  const headers = { Authorization: `Bearer ${token()}`, Accept: kind };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    const answer = await fetch(address, { method: body ? "POST" : "GET", headers, body: JSON.stringify(body) });
    if (answer.ok) return tell(""), await (kind === "text/html" ? answer.text() : answer.json());
    const said = await answer.json();
    if (answer.status === 401) one("#enter").hidden = false;
    // Who has not entered a token yet is asked for one, and not told that it is wrong.
    tell(answer.status === 401 && !token() ? "" : said.error);
  } catch {
    tell(document.body.dataset.silent);
  }
}

async function start() {
  const description = await call("openapi.json");
  one("#ask").hidden = !description;
  if (!description) return;
  one("#enter").hidden = true;
  tasks = description["x-tasks"];
  one("#task").replaceChildren(...tasks.map((task) => new Option(task.name)));
  if (!one(".turn")) addTurn();
  try {
    const ready = await (await fetch("readyz")).json();
    one("#state").hidden = ready.status === "ready";
    one("#status").textContent = ready.status;
    one("#problems").textContent = ready.problems.join(" ");
  } catch {
    tell(document.body.dataset.silent);
  }
}

function addTurn() {
  const turn = made("#turn");
  const before = document.querySelectorAll(".turn");
  if (before.length % 2) one("select", turn).value = "agent";
  one("button", turn).onclick = () => turn.remove(); // the only one has no such button
  one("#turns").append(turn);
  one("textarea", turn).focus();
}

// What is no picture is taken for a sound: phones send some that browsers have no name for.
function addFiles(files) {
  for (const file of files) {
    const reader = new FileReader();
    reader.onload = () => {
      const kind = file.type.startsWith("image/") ? "images" : "audio";
      const added = { name: file.name, address: reader.result, kind };
      const item = made(kind === "images" ? "#picture" : "#sound");
      one("img, audio", item).src = added.address;
      one("span", item).textContent = added.name;
      one("button", item).onclick = () => (media.splice(media.indexOf(added), 1), item.remove());
      media.push(added);
      one("#media").append(item);
    };
    reader.readAsDataURL(file);
  }
}

// What the form says: one turn is a text, more are a dialogue.
function written() {
  const id = `try-${Date.now().toString(36)}`;
  const sample = { id, task: one("#task").value };
  const turns = [...document.querySelectorAll(".turn")]
    .map((turn) => ({ role: one("select", turn).value, text: one("textarea", turn).value }));
  if (turns.length > 1) sample.turns = turns;
  else if (turns[0].text) sample.text = turns[0].text;
  for (const { name, address, kind } of media) {
    (sample[kind] ??= []).push({ name, base64: address.slice(address.indexOf(",") + 1) });
  }
  return sample;
}

// The page's policy has no inline styles, so those of the explanation are applied from here. Text is escaped in it:
// what looks like a style is one.
function showExplanation(html) {
  const host = one("#explanation");
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  const bare = html.replace(/<style>(.*?)<\/style>/gs, (_, rules) => (sheet.replaceSync(rules), ""));
  const page = new DOMParser().parseFromString(bare.replaceAll(' style="', ' data-style="'), "text/html");
  root.adoptedStyleSheets = [sheet];
  root.replaceChildren(...page.body.childNodes);
  for (const styled of root.querySelectorAll("[data-style]")) styled.style.cssText = styled.dataset.style;
}

function showCommand(sample) {
  const short = { ...sample };
  for (const kind of ["images", "audio"].filter((each) => each in sample)) {
    short[kind] = sample[kind].map((file) => ({ ...file, base64: `${file.base64.slice(0, 12)}…` }));
  }
  const body = JSON.stringify({ samples: [short] }).replaceAll("'", "'\\''");
  const address = new URL("v1/predict", location.href);
  one("#request").textContent = [
    `curl ${address}`,
    `-H "Authorization: Bearer $KDSL_TOKEN"`,
    `-H "Content-Type: application/json"`,
    `-d '${body}'`,
  ].join(" \\\n  ");
}

// The labels of the task to choose from, with those of the decision chosen.
function showLabels(task, label) {
  const chosen = [label].flat();
  if (!task.multi) {
    const select = document.createElement("select");
    select.append(...task.labels.map(({ name }) => new Option(name, name, false, chosen.includes(name))));
    one("#right").replaceChildren(select);
    return;
  }
  const boxes = task.labels.map(({ name, description }) => {
    const box = Object.assign(document.createElement("input"), { type: "checkbox", value: name });
    box.checked = chosen.includes(name);
    const row = Object.assign(document.createElement("label"), { title: description });
    row.append(box, ` ${name}`);
    return row;
  });
  one("#right").replaceChildren(...boxes);
}

async function predict(event) {
  event.preventDefault();
  const sample = written();
  one("#predict").disabled = true;
  const answer = await call("v1/predict", { samples: [sample] });
  const explanation = answer && (await call("v1/explain", { samples: [sample] }, "text/html"));
  one("#predict").disabled = false;
  one("#result").hidden = !explanation;
  if (!explanation) return;
  const [prediction] = answer.predictions;
  decided = { sample, task: tasks.find((task) => task.name === prediction.task) };
  showExplanation(explanation);
  showLabels(decided.task, prediction.label);
  showCommand(sample);
  one("#answer").textContent = JSON.stringify(prediction, null, 1);
  one("#saved").hidden = true;
  one("#result").scrollIntoView();
}

async function judge(event) {
  event.preventDefault();
  const { sample, task } = decided;
  const label = task.multi
    ? [...document.querySelectorAll("#right input:checked")].map((box) => box.value)
    : one("#right select").value;
  const by = one("#by").value;
  localStorage.setItem("kdsl_by", by);
  one("#saved").hidden = !(await call("v1/feedback", { id: sample.id, task: task.name, label, by, sample }));
}

one("#enter").onsubmit = (event) => {
  event.preventDefault();
  sessionStorage.setItem("kdsl_token", one("#token").value.trim());
  start();
};
one("#add").onclick = addTurn;
one("#files").onchange = (event) => (addFiles(event.target.files), (event.target.value = ""));
one("#ask").onsubmit = predict;
one("#judge").onsubmit = judge;
one("#judge").onchange = () => (one("#saved").hidden = true);
one("#ask").ondragover = (event) => event.preventDefault();
one("#ask").ondrop = (event) => (event.preventDefault(), addFiles(event.dataTransfer.files));
one("#ask").onkeydown = (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) one("#ask").requestSubmit();
};
one("#by").value = localStorage.getItem("kdsl_by") ?? "";
takeToken();
start();
