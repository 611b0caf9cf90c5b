/** Colours by which a person tells their servers apart, in the order in which new ones get them. */
export const COLOURS = ['blue', 'teal', 'green', 'amber', 'red', 'pink', 'violet', 'grey'] as const;

export type Colour = (typeof COLOURS)[number];

/** Each stands out from light and dark windows alike. */
export const COLOUR_VALUES: Record<Colour, string> = {
  blue: '#4263eb',
  teal: '#0c8599',
  green: '#2f9e44',
  amber: '#e67700',
  red: '#e03131',
  pink: '#d6336c',
  violet: '#7950f2',
  grey: '#868e96',
};
