import { styleText } from 'node:util';
import { count, formatInteger, formatSeconds, momentFormat } from './format.ts';
import type { ObjectiveReport, Report } from './model.ts';

export interface TextOptions {
  /** Colours for a terminal. */
  colour?: boolean;
  /** IANA name; UTC otherwise. */
  timeZone?: string;
}

type Style = 'green' | 'red' | 'yellow' | 'bold' | 'dim';
type Paint = (style: Style, text: string) => string;

const nameWidth = 22;
const valueWidth = 12;

/** The headline of a report for a terminal: about a dozen lines of at most 100 characters. */
export function renderText(report: Report, { colour = false, timeZone = 'UTC' }: TextOptions = {}): string {
  const paint: Paint = (style, text) => (colour ? styleText(style, text, { validateStream: false }) : text);
  const moment = momentFormat(timeZone);
  const what = [report.service, report.scenario ?? report.kind, `${report.from} to ${report.to}`].join(', ');
  const lines = [
    `${verdictText(report, paint)}  ${paint('bold', what)}  ${paint('dim', `${moment.full(report.startedAtMs)} ${moment.zone}`)}`,
    ...wrapped(report.headline, 96).map((line) => `  ${line}`),
    '',
    ...report.objectives.map((objective) => objectiveLine(report, objective, paint)),
    ...lossLines(report, paint),
    ...gapLines(report),
    protectionLine(report, paint),
    truthLine(report, paint),
    chainLine(report, paint),
  ];
  return `${lines.filter((line) => line !== null).join('\n')}\n`;
}

function verdictText({ verdict }: Report, paint: Paint): string {
  const text = { passed: '✓ PASSED', failed: '✗ FAILED', unproven: '? NOT PROVEN', running: '… RUNNING' }[verdict];
  return paint(verdict === 'passed' ? 'green' : verdict === 'failed' ? 'red' : 'yellow', text);
}

function row(name: string, value: string, rest: string): string {
  return `  ${name.padEnd(nameWidth)}${value.padStart(valueWidth)}   ${rest}`.trimEnd();
}

function objectiveLine(report: Report, objective: ObjectiveReport, paint: Paint): string {
  const { id, runId, verdict, actualSeconds, targetSeconds, confidence } = objective;
  const kind = report.runs.find((run) => run.runId === runId)?.kind ?? '';
  const word = {
    met: () => paint('green', 'met'),
    missed: () => paint('red', `missed by ${formatSeconds((actualSeconds ?? 0) - targetSeconds)}`),
    unknown: () => paint('yellow', 'unknown'),
  }[verdict]();
  const value = actualSeconds === null ? '—' : formatSeconds(actualSeconds);
  const how = confidence === 'unknown' ? '' : `, ${confidence}`;
  return row(`${id.toUpperCase()} ${kind}`, value, `objective ${formatSeconds(targetSeconds)}: ${word}${how}`);
}

function lossLines({ loss }: Report, paint: Paint): string[] {
  const { countedRows, listedRows, notListed, acknowledgedRows, afterPromotion } = loss;
  const lines: string[] = [];
  if (countedRows !== null) {
    const missing = notListed.length;
    const listed =
      missing === 0 ? paint('green', 'every one listed') : paint('red', `${formatInteger(missing)} not listed`);
    const rest = countedRows === 0 && missing === 0 ? '' : `, ${listed}`;
    lines.push(
      row('writes lost', formatInteger(countedRows), `of ${formatInteger(acknowledgedRows ?? 0)} acknowledged${rest}`),
    );
  } else if (listedRows !== null)
    lines.push(row('rows in conflict', formatInteger(listedRows), 'saved from the old primary'));
  lines.push(...loss.objects.flatMap((one) => objectLines(one, paint)));
  const late = afterPromotion?.rows.length ?? 0;
  if (late > 0)
    lines.push(
      row('late writes', formatInteger(late), paint('red', 'acknowledged by the old primary after the promotion')),
    );
  return lines;
}

function objectLines(
  { resource, counted, confirmed, listed, namedAtFreeze, notListed }: Report['loss']['objects'][number],
  paint: Paint,
): string[] {
  const name = `lost of ${resource}`;
  if (counted !== null) {
    const known = notListed.length === 0 ? paint('green', 'every one named') : paint('red', 'not all named');
    return [
      row(
        name,
        formatInteger(counted),
        `of ${formatInteger(confirmed ?? 0)} confirmed${counted === 0 ? '' : `, ${known}`}`,
      ),
    ];
  }
  if (listed !== null) return [row(name, formatInteger(listed), 'objects that the old site alone had')];
  return namedAtFreeze === null ? [] : [row(name, formatInteger(namedAtFreeze), 'objects named when it was frozen')];
}

function gapLines({ runs }: Report): string[] {
  return runs.flatMap(({ kind, writeGap }) => {
    if (writeGap === null) return [];
    const value = writeGap.seconds === null ? '—' : formatSeconds(writeGap.seconds);
    return [
      row(`write gap ${kind}`, value, writeGap.seconds === null ? 'clients never wrote again' : 'as clients saw it'),
    ];
  });
}

function protectionLine({ protection }: Report, paint: Paint): string | null {
  if (protection === 'unknown') return null;
  const text =
    protection === 'protected'
      ? paint('green', 'replication runs again')
      : paint('yellow', 'nothing follows the new writer yet');
  return row('protection', protection === 'protected' ? 'yes' : 'no', text);
}

function truthLine({ truth }: Report, paint: Paint): string | null {
  if (truth === null) return null;
  const against = truth.checks.filter((check) => !check.agrees);
  const text =
    against.length === 0
      ? paint('green', count(truth.checks.length, 'check'))
      : paint('red', against[0]?.sentence ?? '');
  return row('truth agrees', against.length === 0 ? 'yes' : 'no', text);
}

function chainLine({ runs }: Report, paint: Paint): string {
  const broken = runs.find((run) => !run.chain.ok);
  const events = runs.reduce((total, run) => total + run.chain.events, 0);
  const whole = `${count(events, 'event')} of ${count(runs.length, 'run')}`;
  const text =
    broken === undefined ? paint('green', whole) : paint('red', `${broken.runId}: ${broken.chain.why ?? ''}`);
  return row('record whole', broken === undefined ? 'yes' : 'no', text);
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines[lines.length - 1];
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
