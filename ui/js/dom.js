// Small steps on the document. Text goes in as text only: nothing here parses HTML.

export const byId = (id) => document.getElementById(id);

/** Write `text` into an element, only when it differs, so that nothing is laid out for nothing. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

/** An element with a class and text. */
export function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

/** An SVG element with attributes. */
export function makeSvg(tag, attributes = {}, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  setAttributes(element, attributes);
  if (text) element.textContent = text;
  return element;
}

export function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    const text = String(value);
    if (element.getAttribute(name) !== text) element.setAttribute(name, text);
  }
}

/** Keep one element for each of `items` in `parent`, in their order, made once and then updated. */
export function keepRows(parent, items, keyOf, makeRow, updateRow) {
  const rows = parent.rowsByKey ??= new Map();
  const keys = new Set(items.map(keyOf));
  for (const [key, row] of rows) if (!keys.has(key)) { row.element.remove(); rows.delete(key); }
  const focused = document.activeElement;
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let row = rows.get(key);
    if (!row) rows.set(key, row = makeRow(item));
    // Only what stands elsewhere is moved.
    if (row.element === place) place = place.nextElementSibling;
    else parent.insertBefore(row.element, place);
    updateRow(row, item);
  }
  // An element that moves loses the focus.
  if (focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
}

/** Show a line for a few seconds. */
export function toast(text) {
  const line = byId("toast");
  line.textContent = text;
  line.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { line.hidden = true; }, 6000);
}

/** Copy `text`, and say so on the button that asked for it. */
export async function copy(text, button) {
  const label = button.dataset.label ??= button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed";
  }
  clearTimeout(button.timer);
  button.timer = setTimeout(() => { button.textContent = label; }, 1500);
}

/** Browsers let pages copy on safe origins only: this machine, and https. */
export const canCopy = () => Boolean(navigator.clipboard);
