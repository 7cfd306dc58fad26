/** The answer by road, and the one by straight line that stands in its place while it is not there. */
import { along, getNearest, getNearestByRoad, type Nearest, type NearestQuery, Problem, type RoadQuery } from "./api";

/** How long the answer by road may take before the other is shown. */
const SLOW_MS = 1000;
/** How long to wait while the service reads the roads for the first time. */
const AGAIN_MS = 2000;

const wait = (ms: number, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });

/** Whether a refusal is about travelling by road, and not about the question itself. */
const isAboutRoads = (error: unknown): error is Problem => error instanceof Problem && error.members.parameter === "by";

/**
 * Asks by road. An answer by straight line is handed to `early` when that by road takes long, but not where one by road
 * already stands; where there is none at all, the answer by straight line is the answer, and says why.
 */
export async function askByRoad(query: NearestQuery & RoadQuery, signal: AbortSignal, early: (answer: Nearest) => void, standing: boolean): Promise<Nearest> {
  const { profile, at, ...plain } = query;
  if (along.asOf !== null) return { ...(await getNearest(plain, signal)), instead: "as_of" };
  let line: Promise<Nearest> | null = null;
  let over = false;
  const instead = async (why: NonNullable<Nearest["instead"]>) => {
    line ??= getNearest(plain, signal);
    return { ...(await line), instead: why };
  };
  const showEarly = async (why: NonNullable<Nearest["instead"]>) => {
    const answer = await instead(why);
    if (!over && !signal.aborted) early(answer);
  };
  // What goes wrong with the answer in between does not matter: the one by road is still to come.
  const timer = setTimeout(() => { if (!standing) void showEarly("slow").catch(() => undefined); }, SLOW_MS);
  try {
    for (let tries = 0; ; tries++) {
      try {
        return await getNearestByRoad({ ...plain, profile, at }, signal);
      } catch (error) {
        if (!isAboutRoads(error)) throw error;
        clearTimeout(timer);
        if (error.status !== 503) return await instead("no_roads");
        if (tries === 0) await showEarly("reading");
        await wait(AGAIN_MS, signal);
        signal.throwIfAborted();
      }
    }
  } finally {
    over = true;
    clearTimeout(timer);
  }
}
