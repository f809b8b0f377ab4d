namespace Millau.Upstreams;

/// <summary>
/// TLS with the instances of one service, as its labels and secrets stand now. One object for as long as the service
/// wants TLS; what it holds is swapped when a certificate changes, and connections made with another are used no more.
/// </summary>
internal sealed class InstanceTls
{
    private volatile UpstreamTls? _current;
    private volatile string _problem = "the certificates for it are not read yet";

    /// <summary>Null while there never was anything usable: no connection is made then, least of all one without TLS.</summary>
    public UpstreamTls? Current => _current;

    /// <summary>Why there is nothing usable, in words.</summary>
    public string Problem => _problem;

    /// <summary>What new connections are made with from now on.</summary>
    public void Set(UpstreamTls tls) => _current = tls;

    /// <summary>What is wrong with the labels; what was good before stays in force.</summary>
    public void Fail(string problem) => _problem = problem;
}
