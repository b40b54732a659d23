import { simulationTests } from './suite.ts';

simulationTests('objects', 20);
