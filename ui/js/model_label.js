// A model as it is shown everywhere: its colour, its name, its provider in small.

import { colourOf } from "./colours.js";
import { make } from "./dom.js";
import { modelParts } from "./format.js";

export function modelLabel(model) {
  const [provider, name] = modelParts(model);
  const label = make("span", "model");
  label.title = model;
  label.append(swatch(model), make("span", "model-name", name));
  if (provider) label.append(make("span", "provider", provider));
  return label;
}

export function swatch(model) {
  const mark = make("span", "swatch");
  mark.style.background = colourOf(model);
  return mark;
}
