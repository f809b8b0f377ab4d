using Millau.Demo;

// The Engine stand-in alone, to be pointed at with DOCKER_HOST.
await using var engine = await EngineStandIn.StartAsync();
Console.WriteLine($"A stand-in of the Engine API listens at {engine.DockerHost}");
await Task.Delay(Timeout.Infinite);
