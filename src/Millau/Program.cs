Console.WriteLine("millau");
