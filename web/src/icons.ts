/** Pictograms of the maki and temaki sets (both CC0), loaded one by one when a definition names them. */

type Load = () => Promise<string>;

const sets = [
  import.meta.glob<string>("/node_modules/@mapbox/maki/icons/*.svg", { query: "?raw", import: "default" }),
  import.meta.glob<string>("/node_modules/@rapideditor/temaki/icons/*.svg", { query: "?raw", import: "default" }),
];

const loaders = new Map<string, Load>();
for (const set of sets) {
  for (const [path, load] of Object.entries(set)) {
    const name = path.slice(path.lastIndexOf("/") + 1, -".svg".length).replaceAll("_", "-");
    if (!loaders.has(name)) loaders.set(name, load);
  }
}

/** Side of the square in which the pictograms are drawn. */
export const ICON_SIZE = 15;

const drawn = new Map<string, Path2D>();

/** The name without its slash: `home-slash` is `home`, struck through. */
export const iconName = (icon: string) => icon.replace(/-slash$/, "").replaceAll("_", "-");

/** Loads the pictograms; names that neither set has are left out and drawn as the bare shape. */
export async function loadIcons(names: Iterable<string>): Promise<void> {
  await Promise.all(
    [...new Set([...names].map(iconName))].map(async (name) => {
      const svg = await loaders.get(name)?.();
      if (svg === undefined) return;
      const path = new Path2D();
      for (const [, d] of svg.matchAll(/\sd="([^"]+)"/g)) path.addPath(new Path2D(d?.replace(/&#x[\dA-Fa-f]+;/g, " ")));
      drawn.set(name, path);
    }),
  );
}

/** The outline of a loaded pictogram. */
export const iconPath = (icon: string): Path2D | undefined => drawn.get(iconName(icon));
