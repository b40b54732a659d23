import type { World } from '../world.ts';

/** A disaster and its end, told to the world. What Muster does in between is the same for all. */
export interface Scenario {
  name: string;
  /** One sentence, for lists. */
  story: string;
  /** Before the load is steady (e.g. a slow link). */
  prepare?(world: World): Promise<void>;
  /** The site is lost. */
  strike(world: World): Promise<void>;
  /** The site comes back, by itself and believing what it believed before. */
  comeBack(world: World): Promise<void>;
  /** Between strike and the moment that the clients have moved: how long the site stays away, milliseconds. */
  awayMs: number;
}
