import type { ComponentChildren } from "preact";
import type { ComputedGrade, Layer, Properties } from "../api";
import { useApp } from "../context";
import { gradeOf } from "./grades";
import { useWords } from "./words";

interface Props {
  layer: Layer;
  grade: ComputedGrade;
  /** The values of the form. */
  row: Properties;
  children: ComponentChildren;
}

/** A grade as it would count, what the standard says, and by which clause; below, the stated one and its reason. */
export function Grade({ layer, grade, row, children }: Props) {
  const { state, text } = useApp();
  const say = useWords();
  const { lang } = state;
  const fieldOf = (name: string) => layer.fields.find((field) => field.name === name);
  const label = (code: string | null) => (code === null ? say("unknown") : text.label(fieldOf(grade.field)?.codes, code));
  const { counts, byStandard, atLeast, overruled, threshold, applies } = gradeOf(grade, row);
  const missing = grade.measures.filter((name) => typeof row[name] !== "number").map((name) => fieldOf(name)?.label[lang] ?? name).join(lang === "zh" ? "、" : ", ");
  const computed = byStandard !== null ? say("grade_computed", { grade: label(byStandard) }) : applies ? say("grade_unknown", { names: missing }) : say("grade_not_applied");
  return (
    <div class="grade" data-field={grade.field}>
      <div class="field read-only">
        <div class="field-label"><span>{fieldOf(grade.field)?.label[lang]}</span><span class="mark">{say(overruled ? "grade_stated" : "computed")}</span></div>
        <p aria-live="polite"><strong>{atLeast && `${say("at_least")} `}{label(counts)}</strong> <span class="muted">{computed}</span></p>
        {!overruled && row[grade.stated] && byStandard !== null && row[grade.stated] !== byStandard && <p class="hint asked">{say("grade_without_reason", { grade: label(String(row[grade.stated])) })}</p>}
        {atLeast && <p class="hint">{say("grade_bound", { names: missing })}</p>}
        <p class="hint">{grade.standard.title[lang]}{threshold && ` · ${threshold.clause}`}{threshold && threshold.certainty !== "verified" && ` · ${say(`certainty_${threshold.certainty}`)}`}</p>
      </div>
      {children}
    </div>
  );
}
