import type { Code, Lang } from "../api";
import { en } from "./en";
import { zh, type Words } from "./zh";

export type Key = keyof Words;
export type Fill = Record<string, string | number>;

const words: Record<Lang, Words> = { zh, en };

/** The words of one language. */
export class Text {
  readonly lang: Lang;
  private readonly number: Intl.NumberFormat;
  private readonly moment: Intl.DateTimeFormat;

  constructor(lang: Lang) {
    this.lang = lang;
    const locale = lang === "zh" ? "zh-CN" : "en-GB";
    this.number = new Intl.NumberFormat(locale, { maximumFractionDigits: 2 });
    this.moment = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
  }

  /** The words for `key`, with `{name}` filled in. */
  t(key: Key, fill: Fill = {}): string {
    return this.fill(words[this.lang][key], fill);
  }

  /** A template with `{name}` filled in. */
  fill(template: string, fill: Fill): string {
    return template.replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (_, name: string, one?: string, many?: string) => {
      const value = fill[name] ?? "";
      if (one !== undefined && many !== undefined) return Number(value) === 1 ? one : many;
      return typeof value === "number" ? this.number.format(value) : value;
    });
  }

  /** The words for `key`, or `otherwise` when the key is not known. */
  try(key: string, otherwise: string, fill: Fill = {}): string {
    return key in zh ? this.t(key as Key, fill) : otherwise;
  }

  /** A number with the language's separators. */
  n(value: number): string {
    return this.number.format(value);
  }

  /** A distance: metres below a kilometre, then one decimal, then none from 100 km. */
  distance(metres: number): string {
    if (metres < 995) return `${Math.round(metres / 10) * 10} m`;
    return `${(metres / 1000).toFixed(metres < 99500 ? 1 : 0)} km`;
  }

  /** How long something takes: whole minutes, then hours and minutes. */
  minutes(seconds: number): string {
    const minutes = Math.max(1, Math.round(seconds / 60));
    return minutes < 60 ? this.t("minutes", { n: minutes }) : this.t("hours", { h: Math.floor(minutes / 60), n: minutes % 60 });
  }

  /** An area: square metres, then square kilometres from 0.1 km². */
  area(m2: number): string {
    return m2 < 100_000 ? `${this.n(m2)} m²` : `${this.n(m2 / 1e6)} km²`;
  }

  /** One of eight directions, clockwise from north. */
  direction(bearing_deg: number): string {
    const directions = ["dir_n", "dir_ne", "dir_e", "dir_se", "dir_s", "dir_sw", "dir_w", "dir_nw"] as const;
    return this.t(directions[Math.round((((bearing_deg % 360) + 360) % 360) / 45) % 8] ?? "dir_n");
  }

  /** How long ago, in the largest unit that fits. */
  age(seconds: number): string {
    if (seconds < 90) return this.t("age_now");
    if (seconds < 5400) return this.t("age_min", { n: Math.round(seconds / 60) });
    if (seconds < 129600) return this.t("age_h", { n: Math.round(seconds / 3600) });
    return this.t("age_d", { n: Math.round(seconds / 86400) });
  }

  /** A moment in local time. */
  time(iso: string): string {
    const moment = new Date(iso);
    return Number.isNaN(moment.getTime()) ? iso : this.moment.format(moment);
  }

  /** The local day of a moment, as a date is written. */
  date(iso: string): string {
    return new Date(iso).toLocaleDateString("sv-SE");
  }

  /** A moment shortly: the time of day, before it the day unless it is today. */
  soon(iso: string): string {
    const [day, today] = [this.date(iso), this.date(new Date().toISOString())];
    const clock = this.clock(Date.parse(iso));
    return day === today ? clock : `${this.day(day, today)} ${clock}`;
  }

  /** The time of day of a moment. */
  clock(moment: number): string {
    return new Date(moment).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  }

  /** A day, without the year when it is the year of `today`. */
  day(date: string, today: string): string {
    return date.slice(0, 4) === today.slice(0, 4) ? date.slice(5, 10) : date.slice(0, 10);
  }

  /** The label of a code, or the code itself. */
  label(codes: Code[] | null | undefined, code: string): string {
    return codes?.find((one) => one.code === code)?.label[this.lang] ?? code;
  }
}
