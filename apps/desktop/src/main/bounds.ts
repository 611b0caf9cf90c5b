export interface Bounds {
  x?: number;
  y?: number;
  width: number;
  height: number;
}
