import { simulationTests } from './suite.ts';

simulationTests('drives', 15);
