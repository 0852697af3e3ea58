// Imported before a suite, this has it run on the second transport, node:http and ws.
process.env['TRANSPORT'] = 'node';
