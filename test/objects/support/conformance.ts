import { describeBytes } from './describe-bytes.ts';
import { describeListings } from './describe-listings.ts';
import { describeService } from './describe-service.ts';
import { describeWrites } from './describe-writes.ts';
import { opener, type Server, type ServerTraits } from './store.ts';

/** The suite every server of either dialect has to pass. */
export function describeStore(name: string, server: () => Server, traits: ServerTraits): void {
  const suite = { name, traits, open: opener(server) };
  describeBytes(suite);
  describeListings(suite);
  describeWrites(suite);
  describeService(suite);
}
