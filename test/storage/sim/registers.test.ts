import { simulationTests } from './suite.ts';

simulationTests('registers', 120);
