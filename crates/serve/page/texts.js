// Every English text of the page. Sentences that the module or the server says come from there.

const number = new Intl.NumberFormat('en');

/** A count of bytes for people. */
export function bytes(count) {
  if (count < 1000) return `${count} B`;
  if (count < 1e6) return `${(count / 1e3).toPrecision(3)} KB`;
  return `${(count / 1e6).toPrecision(3)} MB`;
}

const seconds = (s) => `${number.format(Math.round(s * 10) / 10)} s`;
const clock = (s) => `${Math.floor(Math.round(s) / 60)}:${String(Math.round(s) % 60).padStart(2, '0')}`;
const times = (count) => (count === 1 ? '1 trip' : `${count} trips`);

export const texts = {
  name: 'Sordino',
  promise: 'Names a piece of music. The server never hears it.',

  askTitle: 'What is playing?',
  loading: 'Loading…',
  listen: 'Listen',
  stop: 'Stop',
  ready: (s) => `Ready. Takes ${seconds(s)} of music.`,
  left: (s) => `${Math.ceil(s)} s`,
  listeningStart: (s) => `Listening for ${seconds(s)}.`,
  reading: 'Reading the file…',
  features: 'Turning the sound into numbers, in this tab…',
  encrypting: 'Encrypting…',
  asking: (trip, of) => (of > 1 ? `Asking the server, trip ${trip} of ${of}…` : 'Asking the server…'),
  decrypting: 'Decrypting…',
  stopped: 'Stopped.',
  again: 'Try again',
  done: 'Done.',
  chooseFile: 'Choose a sound file',
  dropFile: 'or drop one anywhere on this page.',
  dropHere: 'Drop the sound here',
  level: 'Microphone level',
  levelValue: (db) => `${db} decibels below full scale`,
  spectrogram: 'Spectrogram of the clip: time to the right, pitch upwards, louder is stronger in colour',

  insecure: (origin) =>
    `Your browser gives the microphone only to pages over HTTPS, or on localhost. This page came from ${origin}. ` +
    'Open it over https:// or http://localhost. A sound file works here too.',
  denied:
    'The browser did not allow the microphone. Allow it in the site settings, beside the address, and press Listen again. ' +
    'Or choose a sound file.',
  noMicrophone: 'No microphone was found. Plug one in and press Listen again, or choose a sound file.',
  microphoneFailed: (why) => `The microphone could not be used: ${why}`,
  undecodable: 'The browser cannot decode this file. Try MP3, AAC, Opus, FLAC or WAV.',
  noModule: 'The encryption module could not be started. Load the page again, in a browser that has WebAssembly.',

  away: (wait, attempt) => `The server does not answer. Trying again in ${seconds(wait)}, attempt ${attempt}.`,
  busy: (wait, attempt) => `The server asks to wait. Trying again in ${seconds(wait)}, attempt ${attempt}.`,
  gone: 'The server cannot be reached.',
  later: (detail, wait) => `${detail} Come back in ${wait >= 120 ? `${Math.ceil(wait / 60)} minutes` : seconds(wait)}.`,
  changed: 'The server has a new version of this library. Starting the same clip anew.',
  tokenMissing: 'This server answers only whom its operator gave a token. Enter yours.',
  tokenUnknown: 'The server does not know this token. Enter the one that its operator gave you.',
  tokenLabel: 'Your token',
  tokenGive: 'Use it',
  keyMissing: 'The server no longer has your evaluation key. Making a new one.',
  noModel: (name) => `The server no longer has the library "${name}". Choose another one.`,
  noModels: 'The server has no library.',
  refused: (detail) => `The reply could not be used: ${detail}. It was not asked for again: that would tell the server something.`,

  title: { named: (title) => title, probably: (title) => `Probably ${title}` },
  unknown: 'Unknown',
  unknownWhy: 'As far as this can tell, the music is not in this library.',
  by: (artist) => `by ${artist}`,
  from: (album) => `from ${album}`,
  copies: (copies) =>
    `The same recording: ${copies.map(({ title, artist, album }) => [title, artist, album].filter(Boolean).join(', ')).join('; ')}`,
  where: (from, to) => `near ${clock(from)} to ${clock(to)} of the track`,
  sure: {
    lead: (found, above) =>
      `The best track leads the third by ${number.format(found)} score points. More than ${number.format(above)} counts as known.`,
    score: (found, above) => `The best score is ${number.format(found)}. More than ${number.format(above)} counts as known.`,
  },
  chance: (named, wrong) => {
    const clips = wrong <= 0.001 ? 'at most 1 gets' : `${number.format(Math.round(1000 * wrong))} get`;
    return named
      ? `Of 1,000 clips of other music, ${clips} as far as this one.`
      : `Of 1,000 clips of songs in this library, ${clips} no further than this one.`;
  },
  noScore: 'The server compared the scores under encryption and returned the winner. Nobody saw a score, so there is none to show.',

  howTitle: 'How to ask',
  modelLabel: 'Library',
  library: (tracks, name) => `The library "${name}" has ${number.format(tracks)} ${tracks === 1 ? 'track' : 'tracks'}.`,
  protocolLegend: 'Protocol',
  protocols: {
    flat: { name: 'Flat', what: 'The server scores every track. You find the best.' },
    routed: { name: 'Routed', what: 'You pick groups of tracks, encrypted. The server returns their scores, and cannot tell which.' },
    decided: { name: 'Decided', what: 'The server finds the winner under encryption. It needs a key from you, once.' },
    picked: { name: 'Picked', what: 'Your browser finds the groups of tracks itself and asks for them, encrypted. The server returns their scores.' },
    'picked-decided': {
      name: 'Picked and decided',
      what: 'Your browser finds the groups itself and asks for them, encrypted. The server finds the winner in them. It needs a key from you, once.',
    },
  },
  otherProtocol: 'A protocol that this page does not describe.',
  costs: (up, down, trips, key, took) =>
    `You send ${bytes(up)} and receive ${bytes(down)} in ${times(trips)}` +
    `${key == null ? '' : `, after a key of ${bytes(key)}, once`}.` +
    `${took == null ? '' : ` The server takes about ${seconds(took)}.`}`,
  serverLearns: 'The server learns',
  clientLearns: 'You learn besides',
  budget: 'Limit',
  budgetCount: (count, span) =>
    `${number.format(count)} queries in ${span >= 7200 ? `${Math.round(span / 3600)} hours` : `${Math.ceil(span / 60)} minutes`}`,

  evaluationNeeded: (size) =>
    `The server decides with an evaluation key. It cannot decrypt with it. Your browser makes it and sends ${size}, once.`,
  evaluationThere: 'Your evaluation key is on the server. Nothing more has to be sent.',
  prepare: 'Make and send the key now',
  otherTab: 'Another tab is making the key. Waiting for it.',
  making: (fraction) => `Making the evaluation key: ${Math.floor(100 * fraction)} %`,
  sending: (sent, size) => `Sending the evaluation key: ${bytes(sent)} of ${bytes(size)}`,
  prepared: 'The evaluation key is on the server.',

  seenTitle: 'What the server saw',
  seenLead: 'Every request of this tab, with the first bytes of what was sent and received. Beside it, what never left your device.',
  seenAlso:
    'The server also sees your address, and when you ask. Sizes are of the bodies before compression; headers come on top. ' +
    'Asking again right after an answer can tell the server what the answer was worth to you.',
  wentTitle: 'Sent and received',
  staysTitle: 'Stays here',
  seenNothing: 'No request yet.',
  seenSum: (count, up, down) =>
    `${count} ${count === 1 ? 'request' : 'requests'}: ${bytes(up)} sent, ${bytes(down)} received.`,
  requests: {
    models: 'The list of libraries',
    client: 'The public half of the library',
    hello: 'How the protocol writes its messages',
    query: 'Your question, encrypted',
    key: 'Your evaluation key',
    keys: 'Forgetting your evaluation keys',
  },
  sentBytes: (count) => `sent ${bytes(count)}`,
  receivedBytes: (count) => `received ${bytes(count)}`,
  noAnswer: 'no answer',
  withToken: 'with your token, which names you to this server only',
  stays: {
    key: 'Secret key',
    keyHeld: 'in this browser; it never leaves it',
    keyNone: 'none yet; made at your first question',
    sound: 'The sound',
    soundHeld: (s, size) => `${seconds(s)}, ${bytes(size)}`,
    features: 'Its description',
    featuresHeld: (count, ms) => `${number.format(count)} numbers, made in ${number.format(Math.round(ms))} ms`,
    scores: 'The answer',
    scoresHeld: 'decrypted here only',
    work: 'Work done here',
    workHeld: (encrypt, decrypt) =>
      `encrypted in ${number.format(Math.round(encrypt))} ms, decrypted in ${number.format(Math.round(decrypt))} ms`,
    nothing: 'nothing yet',
  },

  forgetTitle: 'Forget me',
  forgetLead: 'Deletes your secret key here and your evaluation keys on the server. The next question makes new ones.',
  forget: 'Forget me',
  forgotten: 'Forgotten, here and on the server.',
  forgottenMeanwhile: 'Another tab pressed Forget me while the evaluation key was made. It is deleted on the server too.',
  forgottenHere: (why) => `Your keys are deleted here. The server could not be told: ${why} Press again when it is back.`,
};
