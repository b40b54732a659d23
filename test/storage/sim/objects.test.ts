import { simulationTests } from './suite.ts';

simulationTests('objects', 60);
