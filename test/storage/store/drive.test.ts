import { describeDrive } from './conformance.ts';
import { realHome, simHome } from './drives.ts';

describeDrive('a drive in a directory', realHome);
describeDrive('a drive on a simulated disk', () => simHome());
