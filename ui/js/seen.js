// Work for what is on the screen only: a part of the page that nobody looks at is drawn when it
// comes into sight.

const parts = new Map();

const observer = new IntersectionObserver((changes) => {
  for (const { target, isIntersecting } of changes) {
    const part = parts.get(target);
    part.isSeen = isIntersecting;
    if (isIntersecting) redraw(part);
  }
}, { rootMargin: "200px" });

/** Returns a function that has `draw` called now or, out of sight, later; with its last argument. */
export function whenSeen(element, draw) {
  const part = parts.get(element) ?? { isSeen: false, waiting: new Map() };
  parts.set(element, part);
  observer.observe(element);
  return (value) => {
    part.waiting.set(draw, value);
    // What is hidden as a whole is shown by its own drawing.
    if (part.isSeen || element.hidden) redraw(part);
  };
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) for (const part of parts.values()) if (part.isSeen) redraw(part);
});

function redraw(part) {
  if (document.hidden) return;
  const waiting = [...part.waiting];
  part.waiting.clear();
  for (const [draw, value] of waiting) draw(value);
}
