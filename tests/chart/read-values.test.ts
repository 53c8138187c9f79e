import { expect, test } from "vitest";
import { readValues } from "../../scripts/chart/read-values.ts";

test("Keys are read with the comments that document them, and a comment for readers of the file only stays there", () => {
  const values = readValues(`
# Head of the file.

# @section -- Image

image:
  # -- Where images
  # come from.
  registry: ""
  # Not for the README.
  tag: local # beside it
# -- (object) What a pod may use.
# @default -- see values.yaml
resources:
  limits: { cpu: 1 }
# @section -- Roles
# -- How many.
replicas: 2
`);
  expect(values.map(({ path, meaning, section, shownDefault }) => [path, meaning, section, shownDefault])).toEqual([
    ["image", undefined, "Image", undefined],
    ["image.registry", "Where images come from.", "Image", undefined],
    ["image.tag", undefined, "Image", undefined],
    ["resources", "What a pod may use.", "Image", "see values.yaml"],
    ["resources.limits", undefined, "Image", undefined],
    ["resources.limits.cpu", undefined, "Image", undefined],
    ["replicas", "How many.", "Roles", undefined],
  ]);
});
