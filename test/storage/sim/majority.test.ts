import { simulationTests } from './suite.ts';

simulationTests('majority', 10);
