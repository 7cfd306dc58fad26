/** Which legend entry a feature falls under: the first rule whose every `when` fits; null means missing. */
import type { LayerMap, Properties, Rule } from "./api";
import type { ExpressionSpecification } from "maplibre-gl";

/** The index of the first rule that fits, or -1. */
export function ruleIndexOf(map: LayerMap, properties: Properties): number {
  return map.rules.findIndex((rule) =>
    Object.entries(rule.when).every(([field, wanted]) => (properties[field] ?? null) === wanted),
  );
}

function fits(rule: Rule): ExpressionSpecification {
  const tests = Object.entries(rule.when).map(([field, wanted]): ExpressionSpecification =>
    wanted === null ? ["==", ["get", field], null] : ["==", ["get", field], ["literal", wanted]],
  );
  return tests.length === 0 ? ["literal", true] : ["all", ...tests];
}

/** An expression that is true for features under rule `index`: it fits, and no rule before it does. */
export function underRule(map: LayerMap, index: number): ExpressionSpecification {
  const before = map.rules.slice(0, index).map((rule): ExpressionSpecification => ["!", fits(rule)]);
  const rule = map.rules[index];
  return rule ? ["all", ...before, fits(rule)] : ["literal", false];
}
