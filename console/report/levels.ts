/**
 * Recovery levels of a standard as data, with the edition they were taken from. Only the 2007 edition is here: its text
 * was read; that of GB/T 20988-2025, which replaced it on 2026-01-01, was not, so nothing is claimed under it.
 */
export interface RecoveryLevel {
  level: string;
  name: string;
  nameZh: string;
  /** RTO and RPO of the example table, as it words them. */
  exampleRto: string;
  exampleRpo: string;
  /** The longest time the wording allows, seconds; null where it names none (`12 hours or more`, `several minutes`). */
  longestRtoSeconds: number | null;
  longestRpoSeconds: number;
}

export interface LevelTable {
  edition: string;
  /** What the RTO and RPO of this table are, to be shown wherever they are. */
  standing: string;
  levels: readonly RecoveryLevel[];
}

const minutes = 60;
const days = 24 * 60 * minutes;

/** Levels: GB/T 20988-2007, annex A. RTO and RPO: the example of one industry in its annex C, which is informative. */
export const gbt20988of2007: LevelTable = {
  edition: 'GB/T 20988-2007',
  standing:
    'Example of one industry in the informative annex of GB/T 20988-2007, not a requirement. The edition was replaced by GB/T 20988-2025, whose figures are not used here.',
  levels: [
    {
      level: '1',
      name: 'Basic support',
      nameZh: '基本支持',
      exampleRto: '2 days or more',
      exampleRpo: '1 to 7 days',
      longestRtoSeconds: null,
      longestRpoSeconds: 7 * days,
    },
    {
      level: '2',
      name: 'Standby site support',
      nameZh: '备用场地支持',
      exampleRto: '24 hours or more',
      exampleRpo: '1 to 7 days',
      longestRtoSeconds: null,
      longestRpoSeconds: 7 * days,
    },
    {
      level: '3',
      name: 'Electronic transmission and partial equipment support',
      nameZh: '电子传输和部分设备支持',
      exampleRto: '12 hours or more',
      exampleRpo: 'several hours to 1 day',
      longestRtoSeconds: null,
      longestRpoSeconds: days,
    },
    {
      level: '4',
      name: 'Electronic transmission and complete equipment support',
      nameZh: '电子传输及完整设备支持',
      exampleRto: 'several hours to 2 days',
      exampleRpo: 'several hours to 1 day',
      longestRtoSeconds: 2 * days,
      longestRpoSeconds: days,
    },
    {
      level: '5',
      name: 'Real-time data transmission and complete equipment support',
      nameZh: '实时数据传输及完整设备支持',
      exampleRto: 'several minutes to 2 days',
      exampleRpo: '0 to 30 minutes',
      longestRtoSeconds: 2 * days,
      longestRpoSeconds: 30 * minutes,
    },
    {
      level: '6',
      name: 'Zero data loss and remote cluster support',
      nameZh: '数据零丢失和远程集群支持',
      exampleRto: 'several minutes',
      exampleRpo: '0',
      longestRtoSeconds: null,
      longestRpoSeconds: 0,
    },
  ],
};
