// What a first client gets wrong was refused without saying what would be right: JSON in a binary frame was an unknown
// op, with an id made of its text, and an id that was left out was told as one of the wrong kind.
import { test } from 'tap';
import { readFrame } from '../../src/worker/socket/binary-frames.ts';
import { readMessage } from '../../src/worker/socket/read-message.ts';

test('JSON in a binary frame is told apart from an unknown op', (t) => {
  // The id is read where a frame has it, whatever stands there.
  for (const [json, id] of [
    ['{"type":"ping","id":1}', 0x3a226570],
    ['{}', null],
  ] as const) {
    t.match(readFrame(Buffer.from(json)), {
      id,
      malformed: 'this looks like JSON: send it in a text frame, not in a binary one',
    });
  }
  t.end();
});

test('an id or a handle that is left out is asked for', (t) => {
  t.match(readMessage(Buffer.from('{"type":"ping"}')), {
    id: null,
    isMalformed: true,
    message: 'id: is required: a whole number from 0 to 4294967295',
  });
  t.match(readMessage(Buffer.from('{"type":"release"}')), {
    message: 'handle: is required: a whole number from 0 to 65535',
  });
  t.match(readMessage(Buffer.from('{"type":"ping","id":"1"}')), {
    message: 'id: must be a whole number from 0 to 4294967295',
  });
  t.end();
});
